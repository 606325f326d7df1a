/** What a node says of itself at the start of each connection. */
import { type Hello, PROTOCOL_VERSION } from '../protocol/messages.ts';
import type { PointerStore } from '../protocol/pointer/store.ts';
import type { Uid } from '../protocol/uid.ts';
import type { Host } from './host.ts';
import type { Membership } from './membership.ts';
import { readText } from './read-text.ts';

/** What stays the same for the whole of a boot. */
export interface BootIdentity {
  /** Of the hardware. */
  uid: Uid;
  bootId: string;
  /** '' where nobody told. */
  bootedImage: string;
}

/**
 * Makes hellos, each with the time and the pointer of its own moment; `store`: undefined where the node has none. One maker is for
 * one agent: all that it makes name the same instance.
 */
export function helloMaker(
  host: Host,
  boot: BootIdentity,
  membership: Membership,
  store: PointerStore | undefined,
): () => Hello {
  const macs = readMacs(host);
  const instance = String(host.random());
  return () => ({
    type: 'hello',
    version: PROTOCOL_VERSION,
    ...membership.told(),
    ...boot,
    instance,
    macs,
    pointer: store?.read().pointer ?? null,
    uptime: host.uptime(),
  });
}

/** /proc/sys/kernel/random/boot_id: another value means another boot. */
export function readBootId(host: Host): string {
  return readText(host, '/proc/sys/kernel/random/boot_id').trim();
}

function readMacs(host: Host): string[] {
  return host
    .list('/sys/class/net')
    .map((name) => `/sys/class/net/${name}/address`)
    .filter((path) => host.exists(path))
    .map((path) => readText(host, path).trim())
    .filter((mac) => /^[0-9a-f:]{17}$/.test(mac) && mac !== '00:00:00:00:00:00')
    .slice(0, 16);
}
