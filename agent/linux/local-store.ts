/**
 * Where a node that boots keeps its definitions: in its EEPROM, or on its disk where that has no room (local-disk.ts). Processes of
 * a system have a folder (local-folder.ts).
 */
import type { LocalSlots } from '../protocol/local-slots.ts';
import type { LayoutName } from '../protocol/pointer/layout.ts';
import type { BootLine } from './cmdline.ts';
import { STORE_KINDS } from './eeprom.ts';
import type { Host } from './host.ts';
import { localEeprom } from './local-eeprom.ts';

/**
 * The local store beside the boot pointer that the firmware names. Undefined where there is no room for one, which `tell` is told in
 * words. Throws where the EEPROM cannot be read.
 */
export function openLocalStore(
  host: Host,
  { layout, device }: BootLine['pointer'],
  tell: (why: string) => void = () => {},
): LocalSlots | undefined {
  if (!Object.hasOwn(STORE_KINDS, layout)) throw new Error(`pointer store "${layout}" is unknown`);
  const found = localEeprom(host, layout as LayoutName, device);
  if (!('none' in found)) return found;
  tell(found.none);
  return undefined;
}
