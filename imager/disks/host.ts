/** What host.c has, which `make build` compiles. Where it is not built, disks work on without, or with what Node has. */
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { lazyAddon } from '../native/addon.ts';
import { StoreError } from './store-error.ts';

/** See host.c. */
interface Addon {
  read(fd: number, bytes: Uint8Array, from: number, offset: number): number;
  write(fd: number, bytes: Uint8Array, from: number, offset: number): number;
  begin(): void;
  slept(): boolean;
  checksums(bytes: Uint8Array, crcs: Uint32Array, width: number): boolean;
  wrong(bytes: Uint8Array, entries: Uint32Array, from: number): number;
  punch(fd: number, offset: number, length: number): number;
  reserve(fd: number, offset: number, length: number): number;
  lock(fd: number): number;
}

const { EAGAIN } = constants.errno;

const host = lazyAddon<Addon>('dist/imager/disks/host.node');

/** Whether the system calls are built and load. */
export function hasHostCalls(): boolean {
  return host() !== undefined;
}

/**
 * Reads an open file from `offset` on into `bytes` from its byte `from` on; gives the count, undefined where host.c is
 * not built. Throws an error with the system's `code`. For `slept`; it takes as long as Node's own.
 */
export function readHere(fd: number, bytes: Uint8Array, from: number, offset: number): number | undefined {
  const calls = host();
  return calls === undefined ? undefined : counted('read', calls.read(fd, bytes, from, offset));
}

/** Writes what `readHere` would fill. */
export function writeHere(fd: number, bytes: Uint8Array, from: number, offset: number): number | undefined {
  const calls = host();
  return calls === undefined ? undefined : counted('write', calls.write(fd, bytes, from, offset));
}

/** A call that others make begins, of which `slept` is going to be asked. */
export function beginCall(): void {
  host()?.begin();
}

/**
 * Whether the last of these three calls waited, as for a drive; false where it took long only because other threads had
 * the processor. Where that is not known, true.
 */
export function slept(): boolean {
  const calls = host();
  return calls === undefined || calls.slept();
}

function counted(call: string, result: number): number {
  if (result >= 0) return result;
  const code = getSystemErrorName(result);
  throw Object.assign(new Error(`${code}: ${call}`), { code, errno: result });
}

/**
 * Puts the CRC-32 of each 4096 bytes into `crcs`, as many as there are; false where that cannot be done here. `width`: as on
 * a processor that multiplies no more bits at once.
 */
export function checksumsHere(bytes: Uint8Array, crcs: Uint32Array, width: 128 | 256 | 512 = 512): boolean {
  return host()?.checksums(bytes, crcs, width) === true;
}

/**
 * The first 4096 of `bytes`, counted from 0, whose CRC-32 is not that of its entry of a leaf, the first one's that with the
 * number `from`; -1: none, undefined where that cannot be told here.
 */
export function firstWrongHere(bytes: Uint8Array, entries: Uint32Array, from: number): number | undefined {
  const found = host()?.wrong(bytes, entries, from);
  return found === undefined || found < -1 ? undefined : found;
}

/** Gives the space of a range of an open file back; false where it cannot be done. */
export function punchHole(fd: number, offset: number, length: number): boolean {
  return host()?.punch(fd, offset, length) === 0;
}

/** Has space for a range behind the end of an open file, which stays where it is; false where it cannot be done. */
export function reserveSpace(fd: number, offset: number, length: number): boolean {
  return host()?.reserve(fd, offset, length) === 0;
}

/**
 * False where another process, or another open file of this one, has the lock. True also where the calls are not built.
 * Throws StoreError where the file's file system gives no locks: two imagers would write to one disk.
 */
export function lockFile(fd: number, path: string): boolean {
  const calls = host();
  if (calls === undefined) return true;
  const error = calls.lock(fd);
  if (error !== 0 && error !== EAGAIN)
    throw new StoreError(`${path} cannot be locked against other processes: ${getSystemErrorName(-error)}`);
  return error === 0;
}
