/** What the firmware tells the agent on the kernel's command line. Pure. */

export interface NetworkSettings {
  address: string;
  gateway: string | undefined;
  prefix: number;
  hostname: string | undefined;
  device: string;
}

export interface BootLine {
  /** Image the firmware booted (`bootwright.image=`). */
  image: string;
  /** Pointer store (`bootwright.pointer=LAYOUT:DEVICE`). */
  pointer: { layout: string; device: string };
  /** `ip=` as the kernel documents it (Documentation/admin-guide/nfs/nfsroot.rst). */
  network: NetworkSettings;
}

export class BootLineError extends Error {}

/** Reads /proc/cmdline. Throws BootLineError naming the argument that is missing or wrong. */
export function parseBootLine(text: string): BootLine {
  const values = new Map<string, string>();
  for (const word of text.trim().split(/\s+/)) {
    const equals = word.indexOf('=');
    if (equals > 0) values.set(word.slice(0, equals), word.slice(equals + 1));
  }
  const need = (key: string): string => {
    const value = values.get(key);
    if (value === undefined || value === '')
      throw new BootLineError(`the kernel command line has no ${key}= argument`);
    return value;
  };
  const pointer = need('bootwright.pointer');
  const colon = pointer.indexOf(':');
  if (colon < 1) throw new BootLineError(`bootwright.pointer=${pointer} is not LAYOUT:DEVICE`);
  return {
    image: need('bootwright.image'),
    pointer: { layout: pointer.slice(0, colon), device: pointer.slice(colon + 1) },
    network: parseIp(need('ip')),
  };
}

/** ip=ADDRESS:SERVER:GATEWAY:NETMASK:HOSTNAME:DEVICE:AUTOCONF */
function parseIp(value: string): NetworkSettings {
  const [address = '', , gateway = '', netmask = '', hostname = '', device = ''] = value.split(':');
  const prefix = prefixOf(netmask);
  if (toNumber(address) === undefined || prefix === undefined)
    throw new BootLineError(`ip=${value} has no address and netmask`);
  return {
    address,
    gateway: toNumber(gateway) ? gateway : undefined,
    prefix,
    hostname: hostname || undefined,
    device: device || 'eth0',
  };
}

function prefixOf(netmask: string): number | undefined {
  const mask = toNumber(netmask);
  if (mask === undefined) return undefined;
  const ones = Math.clz32(~mask);
  return ones === 32 || (mask << ones) >>> 0 === 0 ? ones : undefined;
}

function toNumber(address: string): number | undefined {
  const parts = address.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256))
    return undefined;
  return parts.reduce((value, part) => ((value << 8) | Number(part)) >>> 0, 0);
}
