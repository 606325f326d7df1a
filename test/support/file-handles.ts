/** Calls of open files that fail as a test wants them to. */
import { open } from 'node:fs/promises';

/** What all open files have their calls from, to be spied on. */
export async function handles(): Promise<Awaited<ReturnType<typeof open>>> {
  const handle = await open('/dev/null');
  await handle.close();
  return Object.getPrototypeOf(handle);
}

/** What a call of the system fails with. */
export function systemError(code: string, errno: number): Error {
  return Object.assign(new Error(`${code}: write`), { code, errno, syscall: 'write' });
}
