/** Writes to a file, whole. */
import type { FileHandle } from 'node:fs/promises';

/** One call may write a part only, as where there is no space for more: the next one tells. */
export async function writeAll(file: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
}
