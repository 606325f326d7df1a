/** Files as the sequence of bytes a transfer sends: as they are (octet), or converted (netascii). */
import type { BootFile } from '../images/boot-files.ts';

export interface ByteSource {
  /**
   * Fills `target` with what is to be sent from byte `at` on; gives less than its length only at the end. One call at a
   * time. Rejects with ShortFileError, and with what the file rejects with.
   */
  fill(target: Uint8Array, at: number): Promise<number>;
}

/** The file ended before its size: what was sent so far must not be taken for the whole. */
export class ShortFileError extends Error {}

/** RFC 1350 mode octet: every byte as it is, read from anywhere. */
export function octets(file: BootFile): ByteSource {
  return {
    async fill(target, at) {
      const wanted = Math.max(0, Math.min(target.length, file.size - at));
      let filled = 0;
      while (filled < wanted) {
        const count = await file.read(target.subarray(filled, wanted), at + filled);
        if (!(count > 0 && count <= wanted - filled))
          throw new ShortFileError(`file ends at byte ${at + filled} of ${file.size}`);
        filled += count;
      }
      return filled;
    },
  };
}

const CR = 13;
const LF = 10;
const NUL = 0;

/**
 * RFC 1350 mode netascii (RFC 764): a line feed becomes CR LF, a carriage return CR NUL. Where a byte comes to lie depends
 * on all before it, so each `fill` goes on where the last one ended.
 */
export function netascii(file: BootFile): ByteSource {
  const bytes = octets(file);
  const raw = new Uint8Array(4096);
  let read = 0;
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
          end = await bytes.fill(raw, read);
          read += end;
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
