/** EEPROMs of rig nodes as files: as they leave the factory, and flashed by the host as a technician would. */
import {
  closeSync,
  copyFileSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { eepromLayout } from '../../agent/protocol/pointer/at24.ts';
import { ipxeScript } from '../../agent/protocol/pointer/ipxe-script.ts';
import type { PointerLayout } from '../../agent/protocol/pointer/layout.ts';
import { LARGEST_SLOT, slotPair } from '../../agent/protocol/pointer/slot-pair.ts';
import { type Eeprom, PointerStore } from '../../agent/protocol/pointer/store.ts';
import { ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { projectFile } from './project.ts';
import { type Rig, type StubFirmware, UEFI_VARIABLES } from './qemu.ts';
import { variableEeprom } from './uefi-store.ts';

/** Slots of the boot pointer, and a local store behind them (agent/linux/local-eeprom.ts). */
const DEVICE_SIZE = 16_384;
/** Of rig nodes before there were local stores: that of their agent is on their disk. */
const POINTER_ALONE = 8192;
/** What the BIOS stub looks for among the disks. Its slots take 2048 bytes, so a local store fits, too. */
const CHIP_SIZE = 8192;

/** Whose EEPROM it is: that of a rig, or of firmware with a layout of its own. */
export type Owner = Rig | StubFirmware;

const LAYOUT: Record<Owner, PointerLayout> = {
  arm64: ubootEnv,
  x86: ipxeScript,
  'bios-stub': eepromLayout(CHIP_SIZE),
  'uefi-stub': slotPair('efivars', LARGEST_SLOT),
};

/** Bytes that the file may have, the first of them for a new one. */
export function eepromSizes(owner: Owner): number[] {
  if (owner === 'uefi-stub') return [statSync(UEFI_VARIABLES).size];
  return owner === 'bios-stub' ? [CHIP_SIZE] : [DEVICE_SIZE, POINTER_ALONE];
}

/** Makes the EEPROM of a node that never held a boot pointer; `size`: one of eepromSizes(). */
export function makeEeprom(path: string, owner: Owner, size?: number): void {
  if (owner === 'uefi-stub') {
    copyFileSync(UEFI_VARIABLES, path);
    return;
  }
  const bytes = new Uint8Array(size ?? eepromSizes(owner)[0]!);
  if (owner === 'x86') bytes.set(readFileSync(projectFile('firmware-stubs/ipxe/eeprom.ipxe')));
  writeFileSync(path, bytes);
}

/** The bytes in which `eepromPointers` has its slots. */
export function storedBytes(path: string, owner: Owner): Uint8Array {
  return owner === 'uefi-stub' ? variableEeprom(path).read(0, 2 * LARGEST_SLOT) : readFileSync(path);
}

/** The boot pointers in an EEPROM's file. Write them while the node is off: a running one does it itself. */
export function eepromPointers(path: string, owner: Owner): PointerStore {
  return new PointerStore(LAYOUT[owner], owner === 'uefi-stub' ? variableEeprom(path) : plainEeprom(path));
}

function plainEeprom(path: string): Eeprom {
  const open = <T>(flags: string, work: (fd: number) => T): T => {
    const fd = openSync(path, flags);
    try {
      return work(fd);
    } finally {
      closeSync(fd);
    }
  };
  return {
    read: (offset, length) =>
      open('r', (fd) => {
        const bytes = new Uint8Array(length);
        return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
      }),
    write: (offset, bytes) =>
      open('r+', (fd) => {
        writeSync(fd, bytes, 0, bytes.length, offset);
        fsyncSync(fd);
      }),
  };
}
