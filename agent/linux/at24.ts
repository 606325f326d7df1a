/** Pointer store `eeprom`: a 24Cxx chip that the kernel's at24 driver shows in sysfs, or a file that stands for one. */
import { eepromLayout, pageSize, pageWrites } from '../protocol/pointer/at24.ts';
import { type Eeprom, PointerStore } from '../protocol/pointer/store.ts';
import type { Host } from './host.ts';

const LARGEST = 65_536;
const STEP = 4096;

/** Throws where there is no such file, and where its size is no chip's. */
export function openAt24(host: Host, path: string): PointerStore {
  const { size, bytes } = openChip(host, path);
  return new PointerStore(eepromLayout(size), bytes);
}

/** All of the chip. Throws as openAt24() does. */
export function openChip(host: Host, path: string): { size: number; bytes: Eeprom } {
  const size = sizeOf(host, path);
  const page = pageSizeOf(size, path);
  return {
    size,
    bytes: {
      read: (offset, length) => host.readStored(path, offset, length),
      write(offset, bytes) {
        for (const write of pageWrites({ offset, bytes }, page))
          host.writeStored(path, write.offset, write.bytes);
      },
    },
  };
}

function pageSizeOf(size: number, path: string): number {
  try {
    return pageSize(size);
  } catch (error) {
    throw error instanceof RangeError ? new Error(`${path}: ${error.message}`) : error;
  }
}

/** By reading: sysfs has the size as a file's, which not every host can ask for. No more is read than must be, at 10 KB/s. */
function sizeOf(host: Host, path: string): number {
  const first = host.readStored(path, 0, STEP).length;
  if (first < STEP) return first;
  for (let size = STEP; size <= LARGEST; size *= 2) {
    if (host.readStored(path, size, 1).length > 0) continue;
    if (host.readStored(path, size - 1, 1).length > 0) return size;
    return size / 2 + host.readStored(path, size / 2, size / 2).length;
  }
  return LARGEST + 1;
}
