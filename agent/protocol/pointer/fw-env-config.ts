/**
 * /etc/fw_env.config, which says where U-Boot's environment is: a line a copy, `DEVICE OFFSET SIZE [SECTOR SIZE [SECTORS]]`,
 * `#` begins a comment line (U-Boot tools/env/fw_env.c get_config()). The offset is decimal, hexadecimal with 0x or octal with
 * a leading 0, the other numbers are hexadecimal with or without 0x. One line: a single environment; two: a redundant one; what
 * comes after two is not looked at.
 */

export interface EnvPlace {
  device: string;
  offset: number;
  size: number;
  /** Bytes that are erased at once; undefined where the line does not say. */
  sectorSize: number | undefined;
}

export class FwEnvConfigError extends Error {}

const LARGEST = 0x100_0000;

/** One place or two. Throws FwEnvConfigError with the line at fault and what it should be. */
export function parseFwEnvConfig(text: string): [EnvPlace] | [EnvPlace, EnvPlace] {
  const places = text
    .split('\n')
    .map((line, index) => ({ words: line.trim().split(/\s+/), number: index + 1 }))
    .filter(({ words: [first = ''] }) => first !== '' && !first.startsWith('#'))
    .slice(0, 2)
    .map(({ words, number }) => placeOf(words, number));
  const [first, second] = places;
  if (first === undefined) throw new FwEnvConfigError('no line DEVICE OFFSET SIZE in it');
  if (second === undefined) return [first];
  if (first.size !== second.size)
    throw new FwEnvConfigError(
      `the copies have ${first.size} and ${second.size} bytes, both must have the same size`,
    );
  return [first, second];
}

/** Why a write of one copy would destroy the other (shared bytes, a shared erase sector); undefined where it would not. */
export function conflictOf(first: EnvPlace, second: EnvPlace): string | undefined {
  const [a, b] = [extent(first), extent(second)];
  return first.device === second.device && a.from < b.to && b.from < a.to
    ? `the copies share bytes or an erase sector of ${first.device}: a write of one would destroy the other`
    : undefined;
}

function placeOf([device = '', offset, size, sectorSize]: string[], number: number): EnvPlace {
  const fault = (words: string) => new FwEnvConfigError(`line ${number}: ${words}`);
  if (offset === undefined || size === undefined) throw fault('expected DEVICE OFFSET SIZE');
  if (offset.startsWith('-'))
    throw fault(`offset ${offset} counts from the end of the device: give the one from its beginning`);
  const place = {
    device,
    offset: cNumber(offset),
    size: hexNumber(size),
    sectorSize: sectorSize === undefined || /^(0x)?0+$/.test(sectorSize) ? undefined : hexNumber(sectorSize),
  };
  if (!Number.isSafeInteger(place.offset)) throw fault(`offset "${offset}" is not a number`);
  if (!(place.size >= 16 && place.size <= LARGEST))
    throw fault(`size "${size}" is not a number from 0x10 to 0x1000000`);
  if (Number.isNaN(place.sectorSize)) throw fault(`sector size "${sectorSize}" is not a number`);
  if (place.sectorSize !== undefined && place.offset % place.sectorSize !== 0)
    throw fault(`offset ${offset} is not where a sector of ${sectorSize} bytes begins`);
  return place;
}

/** What a write of the place erases. */
function extent({ offset, size, sectorSize = 1 }: EnvPlace): { from: number; to: number } {
  const from = Math.floor(offset / sectorSize) * sectorSize;
  return { from, to: Math.ceil((offset + size) / sectorSize) * sectorSize };
}

function cNumber(text: string): number {
  if (/^0x[0-9a-f]+$/i.test(text)) return Number(text);
  if (/^0[0-7]*$/.test(text)) return Number.parseInt(text, 8);
  return /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
}

function hexNumber(text: string): number {
  return /^(0x)?[0-9a-f]+$/i.test(text) ? Number.parseInt(text, 16) : Number.NaN;
}
