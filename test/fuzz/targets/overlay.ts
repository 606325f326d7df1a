/** An overlay's file: superblock, table of generations, records of the journal. */
import { crc32 } from 'node:zlib';
import { FormatError } from '../../../imager/disks/format.ts';
import { decodeTable, encodeTable } from '../../../imager/disks/generation-table.ts';
import {
  changeSize,
  decodeRecord,
  encodeLink,
  putChange,
  RECORD_HEAD,
  sealRecord,
} from '../../../imager/disks/journal-record.ts';
import { decodeSuperblock, encodeSuperblock, type Superblock } from '../../../imager/disks/superblock.ts';
import { promise, refusable, type Target } from '../target.ts';

const SALT = '0011223344556677';
const superblock: Superblock = {
  sequence: 7,
  size: 2 ** 33,
  base: { name: 'web', size: 2 ** 30, digest: 'ab'.repeat(32) },
  root: { place: 34, crc: 1 },
  blocks: { data: 3, zero: 4 },
  table: { place: 50, crc: 2, count: 1, rows: 1 },
  parent: 1,
  next: 2,
  journal: { place: 60, count: 32, salt: SALT, lsn: 5 },
};

function record(count: number, place: number): Uint8Array {
  const bytes = Buffer.alloc(RECORD_HEAD + changeSize(count, place));
  putChange(bytes, RECORD_HEAD, { block: 9, count, place, crcs: new Uint32Array(count) });
  sealRecord(bytes, { salt: SALT, lsn: 5, synced: 4 });
  return bytes;
}

/** The checksums are made right again, so that what is behind them is reached. */
export function overlayTarget(): Target {
  return {
    seeds: [
      encodeSuperblock(superblock),
      encodeTable([
        {
          id: 1,
          parent: 0,
          time: 1,
          size: 4096,
          root: superblock.root,
          blocks: superblock.blocks,
          label: 'é',
        },
      ]),
      record(3, 70),
      record(1000, 1),
      encodeLink({ salt: SALT, lsn: 5, synced: 4 }, superblock.journal),
    ],
    tokens: [
      Buffer.from('BWOVERL2'),
      Buffer.from(SALT, 'hex'),
      Uint8Array.of(255, 255, 255, 255),
      Buffer.alloc(4),
    ],
    maxLength: 4096,
    take(bytes) {
      const buffer = Buffer.from(bytes);
      if (buffer.length === 4096 && buffer.toString('latin1', 0, 8) === 'BWOVERL2') {
        buffer.writeUInt32LE(crc32(buffer.subarray(0, 4092)), 4092);
        return refusable(FormatError, () => {
          const found = decodeSuperblock(buffer);
          promise(found.size > 0 && found.size <= 2 ** 42, 'a disk has a size');
          promise(found.journal.place >= 2 && found.journal.count > 0, 'a journal is never the superblock');
        });
      }
      if (buffer.length === 4096)
        return refusable(FormatError, () => {
          for (const { size, label } of decodeTable(buffer, 2)) {
            promise(size > 0 && size <= 2 ** 42, 'a generation has a size');
            promise(label.length <= 63, 'labels are short');
          }
        });
      if (buffer.length >= RECORD_HEAD) {
        buffer.writeUInt32LE(buffer.length, 4);
        buffer.writeUInt32LE(crc32(buffer.subarray(4)), 0);
      }
      const found = decodeRecord(buffer, 0, SALT, 5);
      if (found === undefined) return false;
      promise(found.length <= buffer.length, 'a record is within its segment');
      promise(
        found.changes.every(({ count }) => count > 0),
        'a change changes something',
      );
      for (const { count, place, crcs } of found.changes)
        promise(crcs.length === (place < 2 ? 0 : count), 'each block that is stored has its checksum');
      promise(found.link === undefined || found.link.place >= 2, 'a segment is never the superblock');
      return true;
    },
  };
}
