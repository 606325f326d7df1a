/** Which requests are refused, and with which error: pure, from the request and what is exported. */
import { CMD, CMD_FLAG, ERRNO, MAX_PAYLOAD, type Request } from './codec.ts';

/** A request that is refused: why, as it is counted; the error number; and words for people. */
export interface Fault {
  fault: 'command' | 'flags' | 'length' | 'range' | 'read-only' | 'not-fast';
  errno: number;
  why: string;
  /** The byte it is about, where there is one within the request. */
  offset?: number;
}

/** What requests are for, and what was agreed on. */
export interface Target {
  size: number;
  readOnly: boolean;
  blockSize: number;
  structured: boolean;
  /** Metadata contexts were chosen. */
  contexts: boolean;
}

/** Flags each command may carry. FUA is valid with all of them ("Command flags"); DF with structured replies alone. */
const FLAGS: Record<number, number> = {
  [CMD.read]: CMD_FLAG.fua | CMD_FLAG.df,
  [CMD.write]: CMD_FLAG.fua,
  [CMD.flush]: CMD_FLAG.fua,
  [CMD.trim]: CMD_FLAG.fua,
  [CMD.cache]: CMD_FLAG.fua,
  [CMD.writeZeroes]: CMD_FLAG.fua | CMD_FLAG.noHole | CMD_FLAG.fastZero,
  [CMD.blockStatus]: CMD_FLAG.fua | CMD_FLAG.reqOne,
};

/**
 * The fault of a request, or undefined where it is right. Errors as the protocol's "Error values" say: EINVAL for what
 * is unknown or out of range, ENOSPC for a write past the end, EPERM for a change of a read-only export, ENOTSUP for
 * zeroes that cannot be had faster than by writing them. A FLUSH with offset or length is let pass, as other servers
 * do.
 */
export function findFault(request: Request, target: Target): Fault | undefined {
  const { type, flags, offset, length } = request;
  const { size } = target;
  const allowed = FLAGS[type];
  if (allowed === undefined) return { fault: 'command', errno: ERRNO.EINVAL, why: `unknown command ${type}` };
  if (type === CMD.blockStatus && !target.contexts)
    return { fault: 'command', errno: ERRNO.EINVAL, why: 'no metadata contexts were chosen' };
  const unasked = flags & ~allowed & 0xffff;
  if (unasked !== 0 || ((flags & CMD_FLAG.df) !== 0 && !target.structured))
    return { fault: 'flags', errno: ERRNO.EINVAL, why: `flags ${flags} of command ${type}` };
  if (type === CMD.flush) return undefined;
  const changes = type === CMD.write || type === CMD.trim || type === CMD.writeZeroes;
  if (changes && target.readOnly)
    return { fault: 'read-only', errno: ERRNO.EPERM, why: 'this export is read-only' };
  const carries = type === CMD.read || type === CMD.write;
  if ((carries && length > MAX_PAYLOAD) || (type === CMD.blockStatus && length === 0)) {
    const errno = type === CMD.read && target.structured ? ERRNO.EOVERFLOW : ERRNO.EINVAL;
    return { fault: 'length', errno, why: `${length} bytes; at most ${MAX_PAYLOAD} at once` };
  }
  if (offset > size || length > size - offset) {
    const full = type === CMD.write || type === CMD.writeZeroes;
    const why = `the disk ends at byte ${size}`;
    const errno = full ? ERRNO.ENOSPC : ERRNO.EINVAL;
    return { fault: 'range', errno, why, ...(offset <= size && length > 0 ? { offset: size } : {}) };
  }
  if ((flags & CMD_FLAG.fastZero) !== 0 && !zeroesFast(request, target.blockSize))
    return { fault: 'not-fast', errno: ERRNO.ENOTSUP, why: 'zeroes that must be written are not fast' };
  return undefined;
}

/** Whole blocks are zeroed by a note in the disk's map; parts of one are written, as is what must keep its space. */
function zeroesFast({ flags, offset, length }: Request, blockSize: number): boolean {
  if ((flags & CMD_FLAG.noHole) !== 0) return false;
  return Math.ceil(offset / blockSize) < Math.floor((offset + length) / blockSize);
}
