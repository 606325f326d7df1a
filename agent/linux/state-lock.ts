/** One agent at a time writes below the state directory, and one to the local store of a device. */
import { LocalRefusedError } from '../protocol/local-content.ts';
import type { Host } from './host.ts';
import { STATE_DIRECTORY } from './journal.ts';

/**
 * Takes the lock, which is held until the process ends or what this gives is called. No process that was killed keeps it. Throws
 * LocalRefusedError where another has it.
 */
export function lockState(host: Host, state: string = STATE_DIRECTORY): () => void {
  host.makeDirectory(state);
  return taken(host, `${state}/lock`);
}

/**
 * The same of the local store in the device or file `path`, whatever the state directories are of those who write there. Undefined of
 * UEFI variables: they are no one file.
 */
export function lockStore(host: Host, kind: string, path: string): (() => void) | undefined {
  return kind === 'efivars' ? undefined : taken(host, path);
}

function taken(host: Host, path: string): () => void {
  const release = host.lock(path);
  if (release === undefined)
    throw new LocalRefusedError(
      `${path} is locked: another agent is at work here (fuser ${path} tells which)`,
    );
  return release;
}
