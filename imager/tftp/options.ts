/**
 * Option negotiation of a read request: RFC 2347 (rules), 2348 (blksize), 2349 (timeout, tsize), 7440 (windowsize).
 *
 * A blksize beyond what the path carries in one piece is agreed to: RFC 2348 leaves that choice to the client, who alone
 * knows what it can put together again. Its window is kept small instead (maxWindowBytes), so that one lost fragment
 * does not cost much.
 */
import type { Options, Request } from './codec.ts';

export interface Limits {
  /** Largest blksize answered; RFC 2348 allows 65464. */
  maxBlksize: number;
  /** Largest windowsize answered, in blocks. */
  maxWindowsize: number;
  /**
   * Largest window in bytes. Kernels give a UDP socket about 200 KiB of buffer by default on either side: a window
   * past that is dropped as a whole, so windowsize is answered smaller where blksize is large.
   */
  maxWindowBytes: number;
}

export const DEFAULT_LIMITS: Limits = { maxBlksize: 65464, maxWindowsize: 64, maxWindowBytes: 131_072 };

export interface Agreement {
  /** Data bytes in each block but the last. */
  blksize: number;
  /** Blocks sent before an ACK is awaited. */
  windowsize: number;
  /** What the client asked for as retransmission time, where it did. Milliseconds. */
  timeoutMs: number | undefined;
  /** What the OACK says, in the order of the request. Empty: no OACK, the first block answers. */
  reply: Options;
}

const DEFAULT_BLKSIZE = 512;

/**
 * Decides what the transfer will be. Unknown options are left out of the reply, as RFC 2347 has it; an option whose
 * value cannot be met by any smaller one refuses the request (error code 8).
 */
export function negotiate(
  request: Request,
  fileSize: number,
  limits: Limits,
): Agreement | { refused: string } {
  const agreement = { blksize: DEFAULT_BLKSIZE, windowsize: 1, timeoutMs: undefined as number | undefined };
  const reply = new Map<string, string>();
  for (const [name, text] of request.options) {
    if (!['blksize', 'windowsize', 'timeout', 'tsize'].includes(name)) continue;
    // Nine digits keep the number exact; nobody's block, window or timeout needs more.
    const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
    if (name === 'tsize') {
      // A read request carries 0 and the reply the size. After netascii conversion it is not known beforehand.
      if (request.mode === 'octet') reply.set(name, String(fileSize));
      continue;
    }
    if (value === undefined) return { refused: `${name} is not a number` };
    switch (name) {
      case 'blksize':
        // RFC 2348: 8 to 65464, and the reply at most what was asked, so that too large is met and too small cannot.
        if (value < 8) return { refused: `blksize ${value} is below 8` };
        agreement.blksize = Math.min(value, limits.maxBlksize);
        reply.set(name, String(agreement.blksize));
        break;
      case 'windowsize':
        if (value < 1) return { refused: 'windowsize is below 1' };
        agreement.windowsize = value;
        reply.set(name, '');
        break;
      case 'timeout':
        // RFC 2349: 1 to 255 s and echoed as it is, so that any other value can only be left out.
        if (value < 1 || value > 255) break;
        agreement.timeoutMs = value * 1000;
        reply.set(name, text);
        break;
    }
  }
  if (reply.has('windowsize')) {
    const fitting = Math.max(1, Math.floor(limits.maxWindowBytes / agreement.blksize));
    agreement.windowsize = Math.min(agreement.windowsize, limits.maxWindowsize, fitting);
    reply.set('windowsize', String(agreement.windowsize));
  }
  return { ...agreement, reply };
}
