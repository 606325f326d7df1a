/** The permanent address of the first physical adapter: a last resort, as adapters are changed. */
import { uidFault } from '../../protocol/uid.ts';
import type { Host } from '../host.ts';
import { type Finding, firmwareText, type UidSource } from './source.ts';

const ADAPTERS = '/sys/class/net';
/** ARPHRD_ETHER (include/uapi/linux/if_arp.h). */
const ETHERNET = '1';
/** NET_ADDR_PERM (include/uapi/linux/netdevice.h): the address is the one the adapter was made with. */
const PERMANENT = '0';

/**
 * First by where adapters sit on their buses, not by their names, which depend on the order drivers are loaded in; those on
 * USB after all others. An adapter without a device of its own (bridge, bond, veth, VLAN, tunnel) is none.
 */
export const permanentAddress: UidSource = {
  name: 'mac',
  about: 'permanent address of the first physical adapter',
  read(host) {
    let last: Finding = { why: 'there is no physical Ethernet adapter' };
    for (const { name } of physicalAdapters(host)) {
      const mac = permanentMac(host, name);
      // The next adapter would do for this boot alone.
      if (mac === undefined) return { why: `the address of ${name} was set by hand, and hides its own` };
      const uid = `mac:${mac}`;
      const fault = uidFault(uid);
      if (fault === undefined) return { uid };
      last = { why: `${name}: ${fault}`, value: mac };
    }
    return last;
  },
};

function physicalAdapters(host: Host): { name: string; place: string }[] {
  if (!host.exists(ADAPTERS)) return [];
  return host
    .list(ADAPTERS)
    .filter(
      (name) =>
        host.exists(`${ADAPTERS}/${name}/device`) &&
        firmwareText(host, `${ADAPTERS}/${name}/type`) === ETHERNET,
    )
    .map((name) => ({ name, place: host.readLink(`${ADAPTERS}/${name}`) }))
    .sort((a, b) => comparePlaces(a.place, b.place));
}

function comparePlaces(a: string, b: string): number {
  const isUsb = (place: string) => (/\/usb\d+\//.test(place) ? 1 : 0);
  return isUsb(a) - isUsb(b) || (a < b ? -1 : a > b ? 1 : 0);
}

function permanentMac(host: Host, name: string): string | undefined {
  // An adapter in a bond has the bond's address; this is what it had before.
  const own = firmwareText(host, `${ADAPTERS}/${name}/bonding_slave/perm_hwaddr`);
  if (own !== undefined) return own.toLowerCase();
  if (firmwareText(host, `${ADAPTERS}/${name}/addr_assign_type`) !== PERMANENT) return undefined;
  return firmwareText(host, `${ADAPTERS}/${name}/address`)?.toLowerCase();
}
