/** Files of the boot table: copied or put together, with their checksums, and made durable; read again. */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { openPlain } from '../storage/regular.ts';
import { pathWords } from '../storage/system-words.ts';
import { ImageError, type ImageFile } from './image.ts';
import { LOOK_BYTES } from './look.ts';

const COPY_BYTES = 1024 * 1024;

/** What a file is put together of: bytes, or a file from its byte `from` on, whose whole content has that checksum. */
export type Piece = Uint8Array | { what: string; path: string; from: number; sha256: string };

/**
 * Copies a file with its checksum. Throws ImageError, with `what` for its name, where it is none or empty, or somebody
 * writes to it meanwhile: half of an old kernel and half of a new one would have a checksum too.
 */
export async function copyInto(
  source: string,
  target: string,
  what: string,
  signal: AbortSignal,
): Promise<ImageFile> {
  const from = await openPlain(source).catch((error: Error) => {
    throw new ImageError(`${what} cannot be read: ${pathWords(error) ?? error.message}`);
  });
  try {
    const before = await from.stat();
    const copied = await writeHashed(target, (write) => readWhole(from, write, signal));
    const after = await from.stat();
    if (after.mtimeMs !== before.mtimeMs || after.size !== before.size)
      throw new ImageError(`${what} was written to while it was copied: ${source}`);
    if (copied.bytes === 0) throw new ImageError(`${what} is empty: ${source}`);
    return copied;
  } finally {
    await from.close();
  }
}

/** Writes a file of `pieces`. Throws ImageError where one of them is not what its checksum says. */
export function putTogether(
  pieces: readonly Piece[],
  target: string,
  signal: AbortSignal,
): Promise<ImageFile> {
  return writeHashed(target, async (write) => {
    for (const piece of pieces) {
      if (piece instanceof Uint8Array) await write(piece);
      else await writePart(piece, write, signal);
    }
  });
}

/** SHA-256 of a file's content, in hexadecimal. */
export async function hashFile(path: string, signal: AbortSignal): Promise<string> {
  const from = await openPlain(path);
  try {
    const hash = createHash('sha256');
    await readWhole(from, (bytes) => hash.update(bytes), signal);
    return hash.digest('hex');
  } finally {
    await from.close();
  }
}

/** As much of a file's beginning as look.ts looks at, and its length. Throws ImageError where it cannot be opened. */
export async function readHead(path: string): Promise<{ head: Uint8Array; bytes: number }> {
  const from = await openPlain(path).catch((error: Error) => {
    throw new ImageError(pathWords(error) ?? error.message);
  });
  try {
    const head = Buffer.alloc(LOOK_BYTES);
    const { bytesRead } = await from.read(head, 0, head.length, 0);
    return { head: head.subarray(0, bytesRead), bytes: (await from.stat()).size };
  } finally {
    await from.close();
  }
}

type Write = (bytes: Uint8Array) => Promise<void>;

/** Makes `target` of what `fill` writes: durable, but for its name, once it resolves. */
async function writeHashed(target: string, fill: (write: Write) => Promise<void>): Promise<ImageFile> {
  const to = await open(target, 'wx', 0o644);
  try {
    const hash = createHash('sha256');
    let length = 0;
    await fill(async (bytes) => {
      hash.update(bytes);
      await to.writeFile(bytes);
      length += bytes.length;
    });
    await to.sync();
    return { bytes: length, sha256: hash.digest('hex') };
  } finally {
    await to.close();
  }
}

async function writePart(
  { what, path, from, sha256 }: Exclude<Piece, Uint8Array>,
  write: Write,
  signal: AbortSignal,
): Promise<void> {
  const source = await openPlain(path);
  try {
    const hash = createHash('sha256');
    let at = 0;
    await readWhole(
      source,
      async (bytes) => {
        hash.update(bytes);
        await write(bytes.subarray(Math.max(0, from - at)));
        at += bytes.length;
      },
      signal,
    );
    const found = hash.digest('hex');
    if (found !== sha256) throw new ImageError(`${what} is damaged: it has sha256 ${found}, not ${sha256}`);
  } finally {
    await source.close();
  }
}

/** Gives a file's content to `take`, part by part: each is gone once `take` is done with it. */
async function readWhole(
  from: FileHandle,
  take: (bytes: Uint8Array) => unknown,
  signal: AbortSignal,
): Promise<void> {
  const buffer = Buffer.alloc(COPY_BYTES);
  for (let at = 0; ; ) {
    signal.throwIfAborted();
    const { bytesRead } = await from.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return;
    await take(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}
