/**
 * Option 43 for PXE clients (PXE specification 2.1, section 2.2 and tables 2-1 and 2-3): tag, length, value triples that
 * say how a boot server is found and what menu is shown. Numbers are big-endian. Pure.
 */
import { addressToBytes } from '../ipv4.ts';
import { textToBytes } from './values.ts';

const TAG = { discoveryControl: 6, bootServers: 8, bootMenu: 9, menuPrompt: 10, bootItem: 71, end: 255 };

/** Bits of tag 6. */
export const DISCOVERY = {
  noBroadcast: 1,
  noMulticast: 2,
  /** Take boot servers of tag 8 only. */
  listedServersOnly: 4,
  /** Where the offer names a boot file: load it at once, no menu, no discovery. */
  loadBootFile: 8,
} as const;

export interface PxeVendorOptions {
  /** Tag 6: sum of DISCOVERY bits. */
  discoveryControl?: number;
  /** Tag 8: addresses by boot server type; none: any server that answers for the type. */
  bootServers?: readonly { type: number; addresses: readonly string[] }[];
  /** Tag 9: in the order shown. Type 0 boots from the local disk. */
  menu?: readonly { type: number; text: string }[];
  /** Tag 10. Seconds until the first item is taken: 0 at once, 255 never. */
  prompt?: { seconds: number; text: string };
  /** Tag 71: what a boot server's answer is for. */
  bootItem?: { type: number; layer: number };
}

/** The value of option 43. Throws RangeError where a tag is longer than the 255 bytes it can have. */
export function pxeVendorOptions(options: PxeVendorOptions): Uint8Array {
  const { discoveryControl, bootServers, menu, prompt, bootItem } = options;
  const bytes: number[] = [];
  const put = (tag: number, value: readonly number[]) => {
    if (value.length > 255) throw new RangeError(`PXE tag ${tag} of ${value.length} bytes, at most 255`);
    bytes.push(tag, value.length, ...value);
  };
  if (discoveryControl !== undefined) put(TAG.discoveryControl, [discoveryControl]);
  if (bootServers !== undefined)
    put(
      TAG.bootServers,
      bootServers.flatMap(({ type, addresses }) => [
        ...word(type),
        addresses.length,
        ...addresses.flatMap((address) => [...addressToBytes(address)]),
      ]),
    );
  if (menu !== undefined)
    put(
      TAG.bootMenu,
      menu.flatMap(({ type, text }) => [...word(type), text.length, ...textToBytes(text)]),
    );
  if (prompt !== undefined) put(TAG.menuPrompt, [prompt.seconds, ...textToBytes(prompt.text)]);
  if (bootItem !== undefined) put(TAG.bootItem, [...word(bootItem.type), ...word(bootItem.layer)]);
  return Uint8Array.from([...bytes, TAG.end]);
}

function word(number: number): [number, number] {
  return [(number >> 8) & 0xff, number & 0xff];
}
