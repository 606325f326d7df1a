/** What the UEFI stub keeps in a machine's variables, in the file of its flash bank. Only while the machine is off. */
import { readFileSync, writeFileSync } from 'node:fs';
import { POINTER_GUID } from '../../agent/protocol/pointer/efi-variables.ts';
import { LARGEST_SLOT } from '../../agent/protocol/pointer/slot-pair.ts';
import type { Eeprom } from '../../agent/protocol/pointer/store.ts';
import { readVariable, withVariable } from './uefi-variables.ts';

const SLOTS = ['BootPointer0', 'BootPointer1'];

/** The two variables as the layout `efivars` has them: their data one behind the other. */
export function variableEeprom(path: string): Eeprom {
  return {
    read(offset, length) {
      const [image, store] = [readFileSync(path), new Uint8Array(SLOTS.length * LARGEST_SLOT)];
      for (const [slot, name] of SLOTS.entries())
        store.set(
          readVariable(image, name, POINTER_GUID)?.subarray(0, LARGEST_SLOT) ?? [],
          slot * LARGEST_SLOT,
        );
      return store.subarray(offset, offset + length);
    },
    write(offset, bytes) {
      const name = SLOTS[offset / LARGEST_SLOT]!;
      writeFileSync(path, withVariable(readFileSync(path), name, POINTER_GUID, bytes));
    },
  };
}

/** Variable `BootListen`: milliseconds that the stub listens for a technician; 16 bits, little-endian. */
export function setListening(path: string, milliseconds: number): void {
  const data = new Uint8Array(2);
  new DataView(data.buffer).setUint16(0, milliseconds, true);
  writeFileSync(path, withVariable(readFileSync(path), 'BootListen', POINTER_GUID, data));
}
