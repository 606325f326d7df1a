/** Files of the QuickJS host that are written so that a power cut does no harm, and calls on devices. */
import * as bw from 'bw';
import { HostError } from '../linux/host.ts';
import { POLLIN, watch } from './loop.ts';

const O_WRONLY = 0o1;
const O_RDWR = 0o2;
const O_CREAT = 0o100;
const O_TRUNC = 0o1000;
const MAX_ANSWER = 4096;

/** As Host.syncDirectory(). */
export function syncDirectory(path: string): void {
  withFile(path, 0, bw.fsync);
}

/** As Host.writeStored(). */
export function writeStored(path: string, offset: number, bytes: Uint8Array): void {
  withFile(path, O_WRONLY, (fd) => {
    bw.pwrite(fd, bytes, offset);
    bw.fsync(fd);
  });
}

/** As Host.replaceFile(). */
export function replaceFile(path: string, bytes: Uint8Array, mode: number): void {
  const beside = `${path}.new`;
  // One left behind by a power cut keeps its mode through O_CREAT: start from none.
  bw.remove(beside);
  withFile(
    beside,
    O_WRONLY | O_CREAT | O_TRUNC,
    (fd) => {
      bw.pwrite(fd, bytes, 0);
      bw.fsync(fd);
    },
    mode,
  );
  bw.rename(beside, path);
  const slash = path.lastIndexOf('/');
  syncDirectory(slash > 0 ? path.slice(0, slash) : slash === 0 ? '/' : '.');
}

/** As Host.replaceFileAside(). */
export async function replaceFileAside(path: string, bytes: Uint8Array): Promise<void> {
  const report = bw.replaceAside(path, bytes);
  await new Promise<void>((ended) => watch(report, POLLIN, ended));
  bw.endAside(report, path);
}

/** As Host.writeVariable(). */
export function writeVariable(path: string, bytes: Uint8Array): void {
  const write = () =>
    withFile(
      path,
      O_WRONLY | O_CREAT | O_TRUNC,
      (fd) => {
        const put = bw.write(fd, bytes);
        if (put !== bytes.length)
          throw new HostError('EIO', `${path}: ${put} of ${bytes.length} bytes written`);
      },
      0o644,
    );
  try {
    write();
  } catch (error) {
    if (!(error instanceof HostError) || error.code !== 'EPERM') throw error;
    bw.setImmutable(path, false);
    try {
      write();
    } finally {
      bw.setImmutable(path, true);
    }
  }
}

/** As Host.transact(). */
export function transact(path: string, request: Uint8Array): Uint8Array {
  let answer: ArrayBuffer | null = null;
  withFile(path, O_RDWR, (fd) => {
    bw.write(fd, request);
    answer = bw.read(fd, MAX_ANSWER);
  });
  return new Uint8Array(answer ?? 0);
}

/** As Host.lock(). */
export function lock(path: string): (() => void) | undefined {
  const fd = opened(path);
  if (bw.lock(fd)) return () => bw.close(fd);
  bw.close(fd);
  return undefined;
}

/**
 * To be read alone, which a lock is enough for: a file that is open for writing keeps its file system from being made read-only, and
 * so clean, before a restart. Made where it is not there; what cannot be made (a folder) is opened as it is.
 */
function opened(path: string): number {
  try {
    return bw.open(path, O_CREAT, 0o600);
  } catch {
    return bw.open(path, 0, 0);
  }
}

function withFile(path: string, flags: number, use: (fd: number) => void, mode = 0): void {
  const fd = bw.open(path, flags, mode);
  try {
    use(fd);
  } finally {
    bw.close(fd);
  }
}
