/** The data of a reply, from a disk: read into the reply's memory, or left in files that it is sent from. */
import { type Disk, DONE, type FilePart } from '../disks/disk.ts';
import type { Piece } from './chunks.ts';

/** What failed, and from which byte of the disk on. */
export interface Failed {
  error: unknown;
  offset: number;
}

/** What is sent from a file before the byte `at` of a reply's memory. */
export interface Insert {
  at: number;
  part: FilePart;
}

/** A range of the disk that is read to the byte `at` of a reply's memory. */
interface Reading {
  at: number;
  offset: number;
  length: number;
}

export interface Layout {
  /** With their places in the reply's memory. */
  pieces: Piece[];
  readings: Reading[];
  inserts: Insert[];
  /** Bytes of files, which take no memory. */
  left: number;
}

/**
 * Takes what is better sent from files out of a reply. `pieces` are placed as if all data were in memory, each with `head`
 * bytes before its data; parts of files have `least` bytes. Throws DiskError.
 */
export function layOut(disk: Disk, pieces: readonly Piece[], head: number, least: number): Layout {
  const layout: Layout = { pieces: [], readings: [], inserts: [], left: 0 };
  for (const piece of pieces) {
    const placed = { ...piece, at: piece.at - layout.left };
    layout.pieces.push(placed);
    if (!piece.hole) layOutData(disk, placed, head, least, layout);
  }
  return layout;
}

function layOutData(disk: Disk, piece: Piece, head: number, least: number, layout: Layout): void {
  const end = piece.offset + piece.length;
  let [at, offset] = [piece.at + head, piece.offset];
  const read = (stop: number): void => {
    if (stop > offset) layout.readings.push({ at, offset, length: stop - offset });
    at += stop - offset;
    offset = stop;
  };
  const parts = piece.length < least ? [] : disk.fileParts(offset, piece.length, least);
  for (const part of parts) {
    read(part.offset);
    layout.inserts.push({ at, part });
    layout.left += part.length;
    offset += part.length;
  }
  read(end);
}

/**
 * Reads what a reply has in memory, and calls `done` once no read may still write to `reply`: before it returns where
 * the disk answers at once.
 */
export function readAll(
  disk: Disk,
  reply: Buffer,
  readings: readonly Reading[],
  done: (failed: Failed | undefined) => void,
): void {
  let failed: Failed | undefined;
  const waited: Promise<void>[] = [];
  for (const { at, offset, length } of readings) {
    const reading = disk.read(reply.subarray(at, at + length), offset);
    if (reading === DONE) continue;
    waited.push(
      reading.catch((error: unknown) => {
        failed ??= { error, offset };
      }),
    );
  }
  if (waited.length === 0) done(undefined);
  else void Promise.all(waited).then(() => done(failed));
}
