/** BASES/NAME.pack: made from the base image by its trace, and opened for reading. */

import { renameSync, rmSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { syncPath, unfinishedPath } from '../storage/durable.ts';
import { writeAll } from '../storage/write-all.ts';
import {
  contentOffset,
  decodeIndex,
  encodeIndex,
  indexLength,
  PACK_HEADER_SIZE,
  PackError,
  type PackIndex,
  PackRuns,
} from './pack.ts';
import { BLOCK_SIZE, blocksOf, encodeTrace, type Trace } from './trace.ts';

const ZEROES = Buffer.alloc(BLOCK_SIZE);
/** Blocks moved at a time. */
const STRETCH = 256;

/** The checksum by which a pack names the trace it was made from. */
export function traceChecksum(trace: Trace): number {
  return encodeTrace(trace).readUInt32LE(8);
}

/**
 * Writes DIR/NAME.pack with the blocks of `trace` from DIR/NAME.img; there is the old pack or the new one at any time.
 * Rejects with the signal's reason soon after it is aborted, and with the file system's errors; nothing is left then.
 */
export async function makePack(dir: string, name: string, trace: Trace, signal: AbortSignal): Promise<void> {
  const path = unfinishedPath(dir);
  const image = await open(join(dir, `${name}.img`), 'r');
  try {
    const index = await indexOf(image, trace, signal);
    const pack = await open(path, 'wx', 0o444);
    try {
      await writePack(pack, image, index, signal);
      await pack.sync();
    } finally {
      await pack.close();
    }
    // One that was removed meanwhile has no pack any more: that is seen and the name given in one step.
    statSync(join(dir, `${name}.img`));
    renameSync(path, join(dir, `${name}.pack`));
    syncPath(dir);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    await image.close();
  }
}

async function indexOf(image: FileHandle, trace: Trace, signal: AbortSignal): Promise<PackIndex> {
  const runs = new PackRuns();
  const checksums: number[] = [];
  const content = Buffer.alloc(BLOCK_SIZE);
  for (const block of trace.runs.flatMap(blocksOf)) {
    signal.throwIfAborted();
    await readBlocks(image, content, block);
    const zero = content.equals(ZEROES);
    runs.add(block, 1, zero);
    if (!zero) checksums.push(crc32(content));
  }
  return {
    size: trace.size,
    digest: trace.digest,
    trace: traceChecksum(trace),
    runs: runs.runs,
    checksums: Uint32Array.from(checksums),
  };
}

async function writePack(pack: FileHandle, image: FileHandle, index: PackIndex, signal: AbortSignal) {
  const head = encodeIndex(index);
  await writeAll(pack, head, 0);
  let at = head.length;
  for (const { block, count, zero } of index.runs) {
    for (let done = 0; done < count && !zero; done += STRETCH) {
      signal.throwIfAborted();
      const content = Buffer.alloc(Math.min(STRETCH, count - done) * BLOCK_SIZE);
      await readBlocks(image, content, block + done);
      await writeAll(pack, content, at);
      at += content.length;
    }
  }
}

/** Fills `target` from block `block`; what is past the end of the image is zeroes. */
async function readBlocks(image: FileHandle, target: Buffer, block: number): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await image.read(target, done, target.length - done, block * BLOCK_SIZE + done);
    if (bytesRead === 0) return void target.fill(0, done);
    done += bytesRead;
  }
}

/** A pack that is open: it stays as it is, also where another takes its name. */
export class PackFile {
  readonly index: PackIndex;
  /** Bytes. */
  readonly size: number;
  readonly #handle: FileHandle;

  private constructor(handle: FileHandle, index: PackIndex, size: number) {
    this.#handle = handle;
    this.index = index;
    this.size = size;
  }

  /** Undefined where there is none. Rejects with PackError where it is damaged. */
  static async open(dir: string, name: string): Promise<PackFile | undefined> {
    const handle = await open(join(dir, `${name}.pack`), 'r').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (handle === undefined) return undefined;
    try {
      const header = await readAt(handle, 0, PACK_HEADER_SIZE);
      const index = decodeIndex(await readAt(handle, 0, indexLength(header)));
      const size =
        contentOffset(index.runs.length, index.checksums.length) + index.checksums.length * BLOCK_SIZE;
      if ((await handle.stat()).size !== size) throw new PackError('the pack is cut off');
      return new PackFile(handle, index, size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Fills `target` from byte `offset` of the content. */
  async content(target: Uint8Array, offset: number): Promise<void> {
    const at = contentOffset(this.index.runs.length, this.index.checksums.length) + offset;
    const { bytesRead } = await this.#handle.read(target, 0, target.length, at);
    if (bytesRead !== target.length) throw new PackError('the pack is cut off');
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

async function readAt(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await handle.read(bytes, 0, length, offset);
  if (bytesRead !== length) throw new PackError('the pack is cut off');
  return bytes;
}
