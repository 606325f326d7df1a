/**
 * Boot menus in option 43 (PXE specification 2.1, section 2.2 and tables 2-1 and 2-3): tag, length, value triples;
 * numbers are big-endian. Firmware shows the menu and asks a boot server of the list for the item that is chosen. Pure.
 */
import type { PxeMenu } from '../config.ts';
import { addressToBytes } from '../ipv4.ts';
import { OPTION } from './codes.ts';
import type { Options } from './field.ts';
import { textToBytes, uintToBytes } from './values.ts';

const TAG = {
  pad: 0,
  discoveryControl: 6,
  bootServers: 8,
  bootMenu: 9,
  menuPrompt: 10,
  bootItem: 71,
  end: 255,
};

/** Tag 6: neither broadcast nor multicast, boot servers of tag 8 alone. They are asked at port 4011. */
const LISTED_SERVERS_ONLY = 0b0111;
/** Type 0 of tag 9: the local disk, for which nobody is asked. */
const LOCAL = 0;
/** Types from here to 0xfffe are a vendor's own (table 2-5). */
const FIRST_TYPE = 0x8000;
/** EDK II and iPXE read one instance of option 43 alone, whatever RFC 3396 says of longer values. */
const MAX_BYTES = 255;

/** What a client asks a boot server for: tag 71. */
export interface BootItem {
  type: number;
  /** 0 is the boot program; others are what that loads later, or signatures (bit 15). */
  layer: number;
}

/** The value of option 43 for `menu`, its items to be asked of `server`. Throws RangeError beyond 255 bytes. */
export function menuToBytes({ prompt, seconds, items }: PxeMenu, server: string): Uint8Array {
  const types = items.map(({ boot }, index) => (boot === 'local' ? LOCAL : FIRST_TYPE + index));
  const bytes = Uint8Array.of(
    ...[TAG.discoveryControl, 1, LISTED_SERVERS_ONLY],
    ...triple(
      TAG.bootServers,
      types
        .filter((type) => type !== LOCAL)
        .flatMap((type) => [...uintToBytes(type, 2), 1, ...addressToBytes(server)]),
    ),
    ...triple(
      TAG.bootMenu,
      items.flatMap(({ name }, index) => [
        ...uintToBytes(types[index]!, 2),
        name.length,
        ...textToBytes(name),
      ]),
    ),
    ...triple(TAG.menuPrompt, [seconds, ...textToBytes(prompt)]),
    TAG.end,
  );
  if (bytes.length > MAX_BYTES)
    throw new RangeError(`a PXE menu of ${bytes.length} bytes, at most ${MAX_BYTES}`);
  return bytes;
}

function triple(tag: number, value: readonly number[]): number[] {
  return [tag, value.length, ...value];
}

/** The item of `menu` that is asked for; undefined where it has none such. */
export function itemOf({ items }: PxeMenu, { type, layer }: BootItem): PxeMenu['items'][number] | undefined {
  const item = layer === 0 ? items[type - FIRST_TYPE] : undefined;
  return item?.boot === 'local' ? undefined : item;
}

/** Tag 71 of a request; undefined where it asks for no item. */
export function readBootItem(options: Options): BootItem | undefined {
  const value = options.get(OPTION.vendorSpecific);
  if (value === undefined) return undefined;
  for (let at = 0; at + 1 < value.length && value[at] !== TAG.end; ) {
    if (value[at] === TAG.pad) at += 1;
    else if (value[at] === TAG.bootItem && value[at + 1] === 4 && at + 6 <= value.length)
      return { type: word(value, at + 2), layer: word(value, at + 4) };
    else at += 2 + value[at + 1]!;
  }
  return undefined;
}

/** The value of option 43 in the answer to who asks for `item` (table 2-7). */
export function bootItemToBytes({ type, layer }: BootItem): Uint8Array {
  return Uint8Array.of(TAG.bootItem, 4, ...uintToBytes(type, 2), ...uintToBytes(layer, 2), TAG.end);
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 256 + bytes[at + 1]!;
}
