/**
 * One U-Boot environment block, as `mkenvimage`, `fw_setenv` and U-Boot's own `saveenv` and `env export -c` write it
 * (U-Boot env/common.c, lib/hashtable.c; include/env_internal.h `env_t`).
 *
 *     0x00  4  CRC-32 of the data, little-endian; the flag byte is not in it
 *     0x04  1  flag byte, in redundant environments alone: fw-env.ts
 *     0x05     data ("0x04" without a flag byte): "name=value" texts, each ended by NUL, the list ended by one more
 *
 * Bytes after the list count for the CRC and nothing else; we write NUL there, as saveenv does.
 */
import { crc32 } from '../crc32.ts';
import { fromLatin1, toLatin1 } from '../latin1.ts';

const CRC_SIZE = 4;
const FLAG = 4;

export interface EnvBlock {
  /** In the order found; of a name twice, the last value at the first place. */
  variables: ReadonlyMap<string, string>;
  /** Undefined in an environment that is not redundant. */
  flag: number | undefined;
}

/** A block that cannot be used: `empty` never held one (erased flash, a new file), else its checksum is wrong. */
export interface BadBlock {
  empty: boolean;
  why: string;
}

/** Reads a block. Values are taken byte for byte (as ISO 8859-1 text), so that they are written again as they were. */
export function decodeEnvBlock(block: Uint8Array, redundant: boolean): EnvBlock | BadBlock {
  const start = redundant ? FLAG + 1 : CRC_SIZE;
  if (block.length <= start) return { empty: false, why: `environment of ${block.length} bytes` };
  if (block.every((byte) => byte === 0) || block.every((byte) => byte === 0xff))
    return { empty: true, why: 'never written' };
  const stored = new DataView(block.buffer, block.byteOffset).getUint32(0, true);
  const data = block.subarray(start);
  const computed = crc32(data);
  if (stored !== computed)
    return { empty: false, why: `CRC-32 is ${hex(computed)}, the environment says ${hex(stored)}` };
  return { variables: variablesOf(data), flag: redundant ? block[FLAG] : undefined };
}

/** The block of `size` bytes. Throws RangeError where the variables do not fit. */
export function encodeEnvBlock({ variables, flag }: EnvBlock, size: number): Uint8Array {
  const start = flag === undefined ? CRC_SIZE : FLAG + 1;
  const block = new Uint8Array(size);
  let at = start;
  for (const [name, value] of variables) {
    const entry = `${name}=${value}\0`;
    // One more NUL ends the list.
    if (at + entry.length + 1 > size) {
      const needed = [...variables].reduce(
        (sum, [key, text]) => sum + key.length + text.length + 2,
        start + 1,
      );
      throw new RangeError(`environment of ${needed} bytes, at most ${size} fit`);
    }
    block.set(toLatin1(entry), at);
    at += entry.length;
  }
  if (flag !== undefined) block[FLAG] = flag;
  new DataView(block.buffer).setUint32(0, crc32(block.subarray(start)), true);
  return block;
}

/** The variables in the order of fw_setenv and saveenv: by name, byte by byte. */
export function sortedVariables(variables: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...variables].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function variablesOf(data: Uint8Array): Map<string, string> {
  const variables = new Map<string, string>();
  for (let start = 0; start < data.length && data[start] !== 0; ) {
    const nul = data.indexOf(0, start);
    const end = nul === -1 ? data.length : nul;
    const equals = data.indexOf(0x3d, start);
    // Without a name, or a value, it is no variable to U-Boot either.
    if (equals > start && equals < end)
      variables.set(fromLatin1(data.subarray(start, equals)), fromLatin1(data.subarray(equals + 1, end)));
    start = end + 1;
  }
  return variables;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
