/** What a resource controller is. Another one is a file beside this one and an entry in discover.ts. */
import type { ResourceKind, ResourceValue } from '../../protocol/resources.ts';
import { type Host, HostError } from '../host.ts';

/** One thing found; a field that is undefined is not known. */
export interface Found {
  key: string;
  fields: Record<string, ResourceValue | undefined>;
}

export interface ResourceController {
  kind: ResourceKind;
  /**
   * Tells `found` of each thing of its kind, through `each` where one that cannot be read must not take the others with it.
   * What it throws is told as well, and ends this controller alone.
   */
  discover(host: Host, found: (thing: Found) => void, each: Each): void;
}

/** Calls `look` with each name in a folder, in order; none where there is no such folder. What `look` throws skips that name. */
export type Each = (folder: string, look: (path: string, name: string) => void) => void;

/** What drivers answer for attributes that do not apply now: the speed of a link that is down. */
const NOT_NOW: readonly string[] = ['ENOENT', 'EINVAL', 'ENODEV', 'EOPNOTSUPP', 'ENODATA', 'ENXIO'];
const MAX_TEXT = 4096;
/** One for all: there are hundreds of attributes, and a node may be slow. */
const DECODER = new TextDecoder();

/** Text of an attribute, of its first `bytes`, without spaces around it; undefined where it is empty, not there, or does not apply. */
export function attribute(host: Host, path: string, bytes = MAX_TEXT): string | undefined {
  try {
    const text = DECODER.decode(host.readFile(path).subarray(0, bytes));
    return (text.includes('\0') ? text.replaceAll('\0', '') : text).trim() || undefined;
  } catch (error) {
    if (error instanceof HostError && NOT_NOW.includes(error.code)) return undefined;
    throw error;
  }
}

/** The same as a number; undefined for what is none, and for -1, which drivers say for "unknown". */
export function numberAt(host: Host, path: string): number | undefined {
  const text = attribute(host, path);
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** The same of a flag. */
export function flagAt(host: Host, path: string): boolean | undefined {
  const number = numberAt(host, path);
  return number === undefined ? undefined : number !== 0;
}

/** Lines KEY=VALUE of a device's `uevent`: what the kernel would tell udev of it, in one read. */
export function ueventOf(host: Host, device: string): Record<string, string> {
  const values: Record<string, string> = {};
  for (const line of (attribute(host, `${device}/uevent`) ?? '').split('\n')) {
    const at = line.indexOf('=');
    if (at > 0) values[line.slice(0, at)] = line.slice(at + 1);
  }
  return values;
}

/** Where a link of /sys/class or /sys/block leads, from `devices` on: `pci0000:00/0000:00:03.0/virtio1/net/eth0`. */
export function devicePath(host: Host, link: string): string {
  return host.readLink(link).replace(/^(\.\.\/)*(devices\/)?/, '');
}
