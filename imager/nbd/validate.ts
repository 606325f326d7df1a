/** Which requests are refused, and with which error: pure, from the request and what is exported. */
import { CMD, CMD_FLAG, ERRNO, MAX_PAYLOAD, type Request } from './codec.ts';

/** Why a request is refused, as it is counted. */
export type Fault = 'command' | 'flags' | 'length' | 'range' | 'read-only';

/** Flags each command may carry. FUA is valid with all of them ("Command flags"). FAST_ZERO is never offered. */
const FLAGS: Record<number, number> = {
  [CMD.read]: CMD_FLAG.fua,
  [CMD.write]: CMD_FLAG.fua,
  [CMD.flush]: CMD_FLAG.fua,
  [CMD.trim]: CMD_FLAG.fua,
  [CMD.writeZeroes]: CMD_FLAG.fua | CMD_FLAG.noHole,
};

/**
 * The fault of a request with the error number to send, or undefined where it is right. Errors as the protocol's
 * "Error values" say: EINVAL for what is unknown or out of range, ENOSPC for a write past the end, EPERM for a
 * change of a read-only export. A FLUSH with offset or length is let pass, as other servers do.
 */
export function findFault(
  request: Request,
  target: { size: number; readOnly: boolean },
): { fault: Fault; errno: number } | undefined {
  const { type, flags, offset, length } = request;
  const allowed = FLAGS[type];
  if (allowed === undefined) return { fault: 'command', errno: ERRNO.EINVAL };
  if ((flags & ~allowed) !== 0) return { fault: 'flags', errno: ERRNO.EINVAL };
  if (type === CMD.flush) return undefined;
  const changes = type !== CMD.read;
  if (changes && target.readOnly) return { fault: 'read-only', errno: ERRNO.EPERM };
  if ((type === CMD.read || type === CMD.write) && length > MAX_PAYLOAD)
    return { fault: 'length', errno: ERRNO.EINVAL };
  if (offset > target.size || length > target.size - offset) {
    const full = type === CMD.write || type === CMD.writeZeroes;
    return { fault: 'range', errno: full ? ERRNO.ENOSPC : ERRNO.EINVAL };
  }
  return undefined;
}
