/** What the firmware tells the agent on the kernel's command line. Pure. */
import { ipv4ToNumber, isIpv4, maskPrefix } from '../protocol/ipv4.ts';

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
  /** Seconds of the hardware watchdog (`bootwright.watchdog=off|SECONDS`); undefined: off. */
  watchdogSeconds: number | undefined;
  /** `ip=` as the kernel documents it (Documentation/admin-guide/nfs/nfsroot.rst). */
  network: NetworkSettings;
}

export class BootLineError extends Error {}

/** Reads /proc/cmdline. Throws BootLineError naming the argument that is missing or wrong. */
export function parseBootLine(text: string): BootLine {
  const values = argumentsIn(text);
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
    watchdogSeconds: parseWatchdog(values.get('bootwright.watchdog')),
    network: parseIp(need('ip')),
  };
}

const WATCHDOG_SECONDS = 60;

/** Hardware counts to a few minutes at most; below ten seconds a busy node would be restarted for nothing. */
function parseWatchdog(value: string | undefined): number | undefined {
  if (value === undefined) return WATCHDOG_SECONDS;
  if (value === 'off') return undefined;
  const seconds = /^[0-9]{1,4}$/.test(value) ? Number(value) : 0;
  if (seconds < 10 || seconds > 600)
    throw new BootLineError(`bootwright.watchdog=${value} is not "off" or 10 to 600 seconds`);
  return seconds;
}

/** What a kernel's command line says of `key`; undefined where it does not. On systems that are up it may say nothing of ours. */
export function kernelArgument(text: string, key: string): string | undefined {
  return argumentsIn(text).get(key);
}

/** The words KEY=VALUE; of one key the last counts. */
function argumentsIn(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const word of text.match(/\S+/g) ?? []) {
    const equals = word.indexOf('=');
    if (equals > 0) values.set(word.slice(0, equals), word.slice(equals + 1));
  }
  return values;
}

/** ip=ADDRESS:SERVER:GATEWAY:NETMASK:HOSTNAME:DEVICE:AUTOCONF */
function parseIp(value: string): NetworkSettings {
  const [address = '', , gateway = '', netmask = '', hostname = '', device = ''] = value.split(':');
  const prefix = isIpv4(netmask) ? maskPrefix(ipv4ToNumber(netmask)) : undefined;
  if (!isIpv4(address) || prefix === undefined)
    throw new BootLineError(`ip=${value} has no address and netmask`);
  return {
    address,
    gateway: isIpv4(gateway) && gateway !== '0.0.0.0' ? gateway : undefined,
    prefix,
    hostname: hostname || undefined,
    device: device || 'eth0',
  };
}
