/** Option 43 of PXE firmware as a capture shows it (PXE specification 2.1, tables 2-1 and 2-3). Pure. */
import { OPTION } from '../dhcp/options/codes.ts';
import type { Options } from '../dhcp/options/field.ts';
import { readBootItem } from '../dhcp/options/pxe-menu.ts';

const TAG = { pad: 0, discoveryControl: 6, bootServers: 8, bootMenu: 9, menuPrompt: 10, end: 255 };
/** Bit 3 of tag 6: load the boot file of this answer, whatever else is there. */
const NO_MENU = 0b1000;

/**
 * How many items the menu in an answer has; undefined where it has the firmware show none: that takes items (tag 9) and
 * servers to ask for them (tag 8) or a prompt to choose at (tag 10).
 */
export function menuItems(options: Options): number | undefined {
  const tags = tagsOf(options.get(OPTION.vendorSpecific) ?? new Uint8Array());
  if (((tags.get(TAG.discoveryControl)?.[0] ?? 0) & NO_MENU) !== 0) return undefined;
  if (!tags.has(TAG.bootServers) && !tags.has(TAG.menuPrompt)) return undefined;
  const menu = tags.get(TAG.bootMenu) ?? new Uint8Array();
  let items = 0;
  for (let at = 0; at + 3 <= menu.length; at += 3 + menu[at + 2]!) items++;
  return items === 0 ? undefined : items;
}

/** The item of a menu that is asked for, or answered about: its type as text. */
export function itemText(options: Options): string | undefined {
  const item = readBootItem(options);
  return item === undefined ? undefined : typeText(item.type);
}

/** `0x8001`, as firmware shows types. */
export function typeText(type: number): string {
  return `0x${type.toString(16).padStart(4, '0')}`;
}

/** The first value of each tag; what is cut short is left out. */
function tagsOf(bytes: Uint8Array): Map<number, Uint8Array> {
  const tags = new Map<number, Uint8Array>();
  for (let at = 0; at + 1 < bytes.length && bytes[at] !== TAG.end; ) {
    const [tag, length] = [bytes[at]!, bytes[at + 1]!];
    if (tag === TAG.pad) at += 1;
    else {
      if (!tags.has(tag) && at + 2 + length <= bytes.length)
        tags.set(tag, bytes.subarray(at + 2, at + 2 + length));
      at += 2 + length;
    }
  }
  return tags;
}
