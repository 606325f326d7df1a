/** Files as the sequence of bytes a transfer sends: as they are (octet), or converted (netascii). */
import type { BootFile } from '../images/boot-files.ts';

export interface ByteSource {
  /** Fills `target` with the bytes that follow; gives less than its length only at the end. One call at a time. */
  fill(target: Uint8Array): Promise<number>;
}

/** The file ended before its size: what was sent so far must not be taken for the whole. */
export class ShortFileError extends Error {}

/** RFC 1350 mode octet: every byte as it is. */
export function octets(file: BootFile): ByteSource {
  let offset = 0;
  return {
    async fill(target) {
      const wanted = Math.min(target.length, file.size - offset);
      let filled = 0;
      while (filled < wanted) {
        const count = await file.read(target.subarray(filled, wanted), offset);
        if (!(count > 0 && count <= wanted - filled))
          throw new ShortFileError(`file ends at byte ${offset} of ${file.size}`);
        filled += count;
        offset += count;
      }
      return filled;
    },
  };
}

const CR = 13;
const LF = 10;
const NUL = 0;

/** RFC 1350 mode netascii (RFC 764): a line feed becomes CR LF, a carriage return CR NUL. */
export function netascii(file: BootFile): ByteSource {
  const bytes = octets(file);
  const raw = new Uint8Array(4096);
  let at = 0;
  let end = 0;
  /** The second half of a pair that did not fit. */
  let pending: number | undefined;
  return {
    async fill(target) {
      let filled = 0;
      while (filled < target.length) {
        if (pending !== undefined) {
          target[filled++] = pending;
          pending = undefined;
          continue;
        }
        if (at === end) {
          at = 0;
          end = await bytes.fill(raw);
          if (end === 0) return filled;
        }
        const byte = raw[at++]!;
        target[filled++] = byte === LF ? CR : byte;
        if (byte === LF || byte === CR) pending = byte === LF ? LF : NUL;
      }
      return filled;
    },
  };
}
