/** The files of an overlay that is not open: what its disk.json says, and how they begin. */
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { syncPath, writeDurably } from '../storage/durable.ts';
import { SystemFile } from './block-file.ts';
import { encodeHeader, HEADER_SIZE, MAX_DISK_SIZE, type MapHeader, mapFileSize } from './map-format.ts';
import { StoreError } from './store-error.ts';

const ZEROES = new Uint8Array(1024 * 1024);

/** What disk.json says. */
export interface DiskRecord {
  base: string;
  baseDigest: string;
  size: number;
}

/** A disk whose files are not what they must be. */
export function damaged(name: string, error: unknown): StoreError {
  return new StoreError(`disk "${name}" is damaged: ${(error as Error).message}`, { cause: error });
}

/** What the disk.json in `dir` says. Throws Error where it is not what it must be. */
export function readRecord(dir: string): DiskRecord {
  const { base, baseDigest, size } = JSON.parse(
    readFileSync(join(dir, 'disk.json'), 'utf8'),
  ) as Partial<DiskRecord>;
  if (typeof base !== 'string' || typeof baseDigest !== 'string' || typeof size !== 'number')
    throw new Error('its description has no base or no size');
  if (!Number.isSafeInteger(size) || size < 1 || size > MAX_DISK_SIZE)
    throw new Error(`its description has a size of ${size} bytes`);
  return { base, baseDigest, size };
}

/** Makes `dir` an overlay nobody has written to. Durable, but for the folder's own name, once it resolves. */
export async function writeOverlay(dir: string, record: DiskRecord, signal: AbortSignal): Promise<void> {
  const { base, baseDigest, size } = record;
  mkdirSync(dir);
  writeDurably(join(dir, 'data'), '');
  truncateSync(join(dir, 'data'), size);
  syncPath(join(dir, 'data'));
  await writeEmptyMap(join(dir, 'map'), { size, baseName: base, baseDigest }, signal);
  writeDurably(join(dir, 'disk.json'), `${JSON.stringify(record)}\n`);
  syncPath(dir);
}

/**
 * Written out in full, zeroes and all: a flush that finds no space for the map would lose what was acknowledged, and
 * the disk would take no more.
 */
async function writeEmptyMap(path: string, header: MapHeader, signal: AbortSignal): Promise<void> {
  writeFileSync(path, encodeHeader(header));
  const file = new SystemFile(path, 'r+');
  try {
    const end = mapFileSize(header.size);
    for (let at = HEADER_SIZE; at < end; at += ZEROES.length) {
      await file.write(ZEROES.subarray(0, Math.min(ZEROES.length, end - at)), at);
      signal.throwIfAborted();
    }
    await file.sync();
  } finally {
    file.close();
  }
}
