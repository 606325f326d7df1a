/** Reading past the page cache from Node. */
import * as fs from 'node:fs';
import { hostError } from './errors.ts';

/** Covers the logical block size of every disk Linux reads directly. */
const ALIGNMENT = 4096;
const PAGE = 65_536;

/** Declared in the DOM's types alone, which this project does not load. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { Memory: new (size: { initial: number }) => { buffer: ArrayBuffer } };
};

/** What is stored at a range, by O_DIRECT where the file allows it; shorter at the end of the file. */
export function readDirect(path: string, offset: number, length: number): Uint8Array {
  const lead = offset % ALIGNMENT;
  const whole = Math.ceil((lead + length) / ALIGNMENT) * ALIGNMENT;
  // O_DIRECT wants aligned memory: a WebAssembly memory is the only buffer of Node that starts on a page.
  const memory = new WebAssembly.Memory({ initial: Math.max(1, Math.ceil(whole / PAGE)) });
  const space = new Uint8Array(memory.buffer, 0, whole);
  let got: number;
  try {
    got = readRange(path, fs.constants.O_DIRECT, space, offset - lead);
  } catch (error) {
    // EINVAL: no direct I/O here (tmpfs, sysfs, MTD character devices).
    if (hostError(error).code !== 'EINVAL') throw error;
    got = readRange(path, 0, space, offset - lead);
  }
  return space.slice(lead, Math.max(lead, Math.min(got, lead + length)));
}

function readRange(path: string, flags: number, space: Uint8Array, offset: number): number {
  const fd = fs.openSync(path, fs.constants.O_RDONLY | flags);
  try {
    let done = 0;
    while (done < space.length) {
      const got = fs.readSync(fd, space, done, space.length - done, offset + done);
      done += got;
      // The end, or an unaligned tail that O_DIRECT could not go on from.
      if (got === 0 || (flags !== 0 && got % 512 !== 0)) break;
    }
    return done;
  } finally {
    fs.closeSync(fd);
  }
}
