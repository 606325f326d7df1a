/** IPv4 settings of interfaces on the QuickJS host. */
import * as bw from 'bw';
import { HostError } from '../linux/host.ts';
import type { Ipv4Settings } from '../protocol/adapter-setting.ts';
import { numberToIpv4, prefixMask } from '../protocol/ipv4.ts';

/** As Host.configureInterface(). */
export function configureInterface(name: string, address: string, prefix: number, gateway?: string): void {
  bw.configureInterface(name, address, maskOf(prefix));
  if (gateway !== undefined) bw.addDefaultRoute(gateway, name);
}

/** As Host.readdress(): the address that is kept has a label, which SIOCSIFADDR(netdevice(7)) takes for an interface of its own. */
export function readdress(name: string, network: Ipv4Settings | undefined, kept?: string): void {
  bw.dropDefaultRoutes(name);
  bw.dropLabel(labelOf(name));
  if (network === undefined) bw.clearInterface(name);
  else configureInterface(name, network.address, network.prefix, network.gateway);
  if (kept !== undefined) configureInterface(labelOf(name), kept, 32);
  for (const address of [network?.address, kept]) if (address !== undefined) announce(name, address);
}

/** As Host.dropAddress(). */
export function dropAddress(name: string): void {
  bw.dropLabel(labelOf(name));
}

function labelOf(name: string): string {
  return `${name}:0`;
}

/** Without it others learn of the address once they ask, or are asked, for it. */
function announce(name: string, address: string): void {
  try {
    bw.announce(name, address);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
  }
}

/** 24 -> 255.255.255.0 */
function maskOf(prefix: number): string {
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > 32)
    throw new HostError('EINVAL', `prefix length ${prefix}: 0 to 32`);
  return numberToIpv4(prefixMask(prefix));
}
