/** One agent at a time writes below the state directory. */
import { LocalRefusedError } from '../protocol/local-content.ts';
import type { Host } from './host.ts';
import { STATE_DIRECTORY } from './journal.ts';

/**
 * Takes the lock, which is held until the process ends or what this gives is called. No process that was killed keeps it. Throws
 * LocalRefusedError where another has it.
 */
export function lockState(host: Host, state: string = STATE_DIRECTORY): () => void {
  host.makeDirectory(state);
  const path = `${state}/lock`;
  const release = host.lock(path);
  if (release === undefined)
    throw new LocalRefusedError(
      `${path} is locked: another agent is at work here (fuser ${path} tells which)`,
    );
  return release;
}
