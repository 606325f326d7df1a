/** What is in an initramfs: cpio archives in the "newc" format, one behind the other, each of them compressed or not. */
import { type Compression, compressionOf, decompress } from './compression.ts';

/** The bytes are no initramfs, or a damaged one: `message` says where. */
export class CpioError extends Error {}

export interface CpioMember {
  path: string;
  /** Type and permissions, as stat(2) has them. */
  mode: number;
  bytes: number;
  /** Where the content begins in the unpacked archive. */
  offset: number;
  /** Of a symbolic link. */
  target?: string;
}

export interface CpioPart {
  compression: Compression;
  bytes: number;
  unpackedBytes: number;
  members: CpioMember[];
}

const HEADER_BYTES = 110;
const MAGIC = /^07070[12]$/;
const MAX_PATH = 4096;
const SYMLINK = 0o120000;
/** Of all parts, unpacked. */
const MAX_BYTES = 1024 * 1024 * 1024;

/**
 * The parts of the initramfs `bytes`, as the kernel unpacks them one after another
 * (Documentation/driver-api/early-userspace/buffer-format.rst): what follows a compressed part is taken as part of
 * it. Rejects with CpioError.
 */
export async function readInitramfs(bytes: Uint8Array): Promise<CpioPart[]> {
  const parts: CpioPart[] = [];
  for (let at = skipZeros(bytes, 0); at < bytes.length; ) {
    const rest = bytes.subarray(at);
    const compression = compressionOf(rest);
    if (compression === 'none') {
      const { members, end } = readCpio(rest);
      parts.push({ compression, bytes: end, unpackedBytes: end, members });
      at = skipZeros(bytes, at + end);
    } else {
      const whole = await decompress(rest, compression, MAX_BYTES).catch((error: Error) => {
        throw new CpioError(
          `the part at byte ${at} cannot be unpacked with ${compression}: ${error.message}`,
        );
      });
      for (let from = 0; from < whole.length; ) {
        const { members, end } = readCpio(whole.subarray(from));
        parts.push({ compression, bytes: rest.length, unpackedBytes: end, members });
        from = skipZeros(whole, from + end);
      }
      return parts;
    }
  }
  if (parts.length === 0) throw new CpioError('the file is empty');
  return parts;
}

/** The members of the archive that `bytes` begin with, and where it ends. Throws CpioError. */
export function readCpio(bytes: Uint8Array): { members: CpioMember[]; end: number } {
  const members: CpioMember[] = [];
  for (let at = 0; ; ) {
    const text = (from: number, to: number): string =>
      Buffer.from(bytes.subarray(from, to)).toString('latin1');
    const header = text(at, at + HEADER_BYTES);
    if (header.length < HEADER_BYTES) throw new CpioError(`cut short at byte ${at}`);
    if (!MAGIC.test(header.slice(0, 6)))
      throw new CpioError(
        `no member of a "newc" archive at byte ${at}${at === 0 ? ', and not compressed' : ''}`,
      );
    if (!/^[0-9a-fA-F]+$/.test(header.slice(6)))
      throw new CpioError(`a header that is no number at byte ${at}`);
    const field = (index: number): number => Number.parseInt(header.slice(6 + index * 8, 14 + index * 8), 16);
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const offset = aligned(at + HEADER_BYTES + nameSize);
    const end = aligned(offset + size);
    if (nameSize < 2 || nameSize > MAX_PATH || offset + size > bytes.length)
      throw new CpioError(`a member that does not fit into the file at byte ${at}`);
    const path = Buffer.from(bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + nameSize - 1)).toString();
    if (path === 'TRAILER!!!') return { members, end: Math.min(end, bytes.length) };
    const target = (mode & 0o170000) === SYMLINK ? { target: text(offset, offset + size) } : {};
    members.push({ path, mode, bytes: size, offset, ...target });
    at = end;
  }
}

function aligned(offset: number): number {
  return (offset + 3) & ~3;
}

function skipZeros(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] === 0) at++;
  return at;
}
