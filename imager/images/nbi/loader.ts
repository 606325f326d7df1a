/** nbi.0 (firmware-stubs/nbi/loader.S), which loads tagged images: the program for an image, and what it cannot load. Pure. */
import type { NbiImage } from '../image.ts';
import { linear, type NbiHeader } from './header.ts';
import { hex, place } from './layout.ts';
import { LOADER } from './programs.ts';

/** Where loader.S has the path of the image's file, how long that may be with its NUL, and where it has its size. */
const LOADER_NAME = { at: 8, bytes: 128 };
const LOADER_SIZE = 136;

/** Below are the BIOS's data, the loader and its buffers. */
const IMAGE_FLOOR = 0x10000;
/** The whole file and what it is copied to lie below 4 GiB. */
const LARGEST_FILE = 0x80000000;

/** loader.S with the TFTP path and the size of the image's file written into it. */
export function nbiLoader({ name, files }: NbiImage): Uint8Array {
  const program = Buffer.from(LOADER);
  program.write(`images/${name}/boot.nbi\0`, LOADER_NAME.at, LOADER_NAME.bytes, 'latin1');
  program.writeUInt32LE(files['boot.nbi'].bytes, LOADER_SIZE);
  return program;
}

/**
 * Why nbi.0 cannot load an image of `fileBytes` bytes on any machine, in words, although the format allows it; nothing
 * where it can.
 */
export function loaderFaults(header: NbiHeader, fileBytes: number): string[] {
  const found: string[] = [];
  if (fileBytes > LARGEST_FILE) found.push(`its ${fileBytes} bytes are more than nbi.0 has memory for`);
  const areas = [{ name: 'the header', start: linear(header.location) }];
  place(header).forEach(({ start }, index) => {
    if (start !== undefined && header.segments[index]!.memoryBytes > 0)
      areas.push({ name: `segment ${index + 1}`, start });
  });
  for (const { name, start } of areas)
    if (start < IMAGE_FLOOR)
      found.push(`${name} begins at ${hex(start)}: memory below ${hex(IMAGE_FLOOR)} is nbi.0's own`);
  return found;
}
