/** The table of generations: rows of 128 bytes. Layout: README.md. Pure. */
import { BLOCK_SIZE, FormatError, MAX_DISK_SIZE, type Pointer } from './format.ts';

const ROW_SIZE = 128;
export const MAX_GENERATIONS = 256;
/** Bytes of UTF-8. */
export const MAX_LABEL = 63;

/** A state of a disk that is kept: what the map was at one moment. */
export interface Generation {
  /** From 1; a number is never given twice. */
  id: number;
  /** The generation it was made from; 0: none. */
  parent: number;
  /** Milliseconds since 1970. */
  time: number;
  /** Bytes of the disk then. */
  size: number;
  root: Pointer;
  blocks: { data: number; zero: number };
  label: string;
}

/** The table, as whole places. */
export function encodeTable(generations: readonly Generation[]): Buffer {
  const bytes = Buffer.alloc(Math.ceil((generations.length * ROW_SIZE) / BLOCK_SIZE) * BLOCK_SIZE);
  for (const [i, it] of generations.entries()) {
    const at = i * ROW_SIZE;
    bytes.writeUInt32LE(it.id, at);
    bytes.writeUInt32LE(it.parent, at + 4);
    bytes.writeBigUInt64LE(BigInt(it.time), at + 8);
    bytes.writeBigUInt64LE(BigInt(it.size), at + 16);
    const words = [it.root.place, it.root.crc, it.blocks.data, it.blocks.zero];
    for (const [j, word] of words.entries()) bytes.writeUInt32LE(word, at + 24 + 4 * j);
    bytes.writeUInt8(bytes.write(it.label, at + 41, MAX_LABEL, 'utf8'), at + 40);
  }
  return bytes;
}

/** Reads `rows` rows. Throws FormatError. The caller has verified the checksum. */
export function decodeTable(source: Uint8Array, rows: number): Generation[] {
  if (rows > MAX_GENERATIONS || rows * ROW_SIZE > source.length)
    throw new FormatError(`the table of generations cannot have ${rows} rows`);
  const bytes = Buffer.from(source.buffer, source.byteOffset, source.length);
  return Array.from({ length: rows }, (_, i) => {
    const at = i * ROW_SIZE;
    const size = Number(bytes.readBigUInt64LE(at + 16));
    if (!(size >= 1 && size <= MAX_DISK_SIZE)) throw new FormatError(`a generation of ${size} bytes`);
    return {
      id: bytes.readUInt32LE(at),
      parent: bytes.readUInt32LE(at + 4),
      time: Number(bytes.readBigUInt64LE(at + 8)),
      size,
      root: { place: bytes.readUInt32LE(at + 24), crc: bytes.readUInt32LE(at + 28) },
      blocks: { data: bytes.readUInt32LE(at + 32), zero: bytes.readUInt32LE(at + 36) },
      label: bytes.toString('utf8', at + 41, at + 41 + Math.min(MAX_LABEL, bytes.readUInt8(at + 40))),
    };
  });
}
