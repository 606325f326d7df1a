/** Files of the boot table: copied with their checksums, read again, made durable. */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { ImageError, type ImageFile } from './image.ts';
import { LOOK_BYTES } from './look.ts';

const COPY_BYTES = 1024 * 1024;

/** Copies a file with its checksum. Throws ImageError, with `what` for its name, where it is none or empty. */
export async function copyInto(
  source: string,
  target: string,
  what: string,
  signal: AbortSignal,
): Promise<ImageFile> {
  const from = await open(source, 'r').catch((error: Error) => {
    throw new ImageError(`${what} cannot be read: ${error.message}`);
  });
  try {
    if (!(await from.stat()).isFile()) throw new ImageError(`${what} is not a file: ${source}`);
    const to = await open(target, 'wx', 0o644);
    try {
      const copied = await copyHashed(from, to, signal);
      if (copied.bytes === 0) throw new ImageError(`${what} is empty: ${source}`);
      await to.sync();
      return copied;
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

/** SHA-256 of a file's content, in hexadecimal. */
export async function hashFile(path: string, signal: AbortSignal): Promise<string> {
  const from = await open(path, 'r');
  try {
    return (await copyHashed(from, undefined, signal)).sha256;
  } finally {
    await from.close();
  }
}

/** As much of a file's beginning as look.ts looks at. */
export async function readHead(path: string): Promise<Uint8Array> {
  const from = await open(path, 'r');
  try {
    const head = Buffer.alloc(LOOK_BYTES);
    const { bytesRead } = await from.read(head, 0, head.length, 0);
    return head.subarray(0, bytesRead);
  } finally {
    await from.close();
  }
}

async function copyHashed(
  from: FileHandle,
  to: FileHandle | undefined,
  signal: AbortSignal,
): Promise<ImageFile> {
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(COPY_BYTES);
  let bytes = 0;
  for (;;) {
    signal.throwIfAborted();
    const { bytesRead } = await from.read(buffer, 0, buffer.length, bytes);
    if (bytesRead === 0) return { bytes, sha256: hash.digest('hex') };
    hash.update(buffer.subarray(0, bytesRead));
    await to?.writeFile(buffer.subarray(0, bytesRead));
    bytes += bytesRead;
  }
}
