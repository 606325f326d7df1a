/**
 * EEPROM chips of the 24Cxx family (AT24C, M24C and the like): how large they are, and how they are written.
 *
 * A chip writes within one page: bytes beyond the page's end wrap round to its beginning and destroy what is there. So
 * a write is cut at page boundaries. Makers differ in page size for chips of one size; the smallest is taken, whose
 * boundaries include those of every larger one.
 */
import type { Patch, PointerLayout } from './layout.ts';
import { LARGEST_SLOT, slotPair } from './slot-pair.ts';

/** Bytes of chip and of its smallest page: 24C02, 04, 08, 16, 32, 64, 128, 256, 512. */
const PAGE_OF_SIZE: ReadonlyMap<number, number> = new Map([
  [256, 8],
  [512, 16],
  [1024, 16],
  [2048, 16],
  [4096, 32],
  [8192, 32],
  [16384, 64],
  [32768, 64],
  [65536, 128],
]);

/** Page size of a chip of `size` bytes. Throws RangeError where there is no such chip. */
export function pageSize(size: number): number {
  const page = PAGE_OF_SIZE.get(size);
  if (page === undefined)
    throw new RangeError(
      `${size} bytes is not the size of a 24Cxx chip: a power of two from 256 to 65536 is`,
    );
  return page;
}

/** The layout on a chip of `size` bytes: each slot half of it, 1024 bytes at most; what is behind them is left alone. */
export function eepromLayout(size: number): PointerLayout {
  pageSize(size);
  return slotPair('eeprom', Math.min(size / 2, LARGEST_SLOT));
}

/** `patch` as writes that each stay within one page. */
export function pageWrites({ offset, bytes }: Patch, page: number): Patch[] {
  const writes: Patch[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Math.min(page - ((offset + at) % page), bytes.length - at);
    writes.push({ offset: offset + at, bytes: bytes.subarray(at, at + length) });
    at += length;
  }
  return writes;
}
