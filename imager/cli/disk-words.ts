/** Words of the command line about disks and base images. Each throws InvalidArgumentError for what can be none of them. */
import { InvalidArgumentError } from 'commander';
import { isName } from '../../agent/protocol/names.ts';
import type { Moment } from '../disks/disk-work.ts';
import { BLOCK_SIZE, MAX_DISK_SIZE, SIZE_RULE } from '../disks/format.ts';
import { MAX_LABEL } from '../disks/generation-table.ts';

/** The name of something that is to be made. */
export function newName(text: string): string {
  if (!isName(text))
    throw new InvalidArgumentError('a name is 1 to 63 of a-z 0-9 . _ -, starting with a letter or digit');
  return text;
}

export function labelOf(text: string): string {
  if (Buffer.byteLength(text) > MAX_LABEL)
    throw new InvalidArgumentError(`a label has at most ${MAX_LABEL} bytes`);
  return text;
}

export function generationNumber(text: string): number {
  const number = Number(text);
  if (!/^[1-9]\d{0,9}$/.test(text) || number > 0xffffffff)
    throw new InvalidArgumentError('no number of a generation');
  return number;
}

/** A generation, the base, or the disk as it is. */
export function momentOf(text: string): Moment {
  return text === 'base' || text === 'now' ? text : generationNumber(text);
}

/** Bytes of a disk, as table.ts prints them or shorter. What is no whole number of bytes is rounded up to a whole block. */
export function sizeOf(text: string): number {
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?) ?(?:([KMGT])(?:iB)?|B)?$/.exec(text) ?? [];
  if (count === undefined)
    throw new InvalidArgumentError('a size is in bytes, or with K, M, G or T, as 20G, 1.5GiB');
  const size = Number(count) * 1024 ** ' KMGT'.indexOf(unit || ' ');
  if (!(size >= 1 && size <= MAX_DISK_SIZE)) throw new InvalidArgumentError(SIZE_RULE);
  return Number.isInteger(size) ? size : Math.ceil(size / BLOCK_SIZE) * BLOCK_SIZE;
}
