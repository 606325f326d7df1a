/** One agent at a time writes below the state directory, and one to the local store of a device. */
import { LocalRefusedError } from '../protocol/local-content.ts';
import { plain } from '../protocol/plain.ts';
import type { Host } from './host.ts';
import { STATE_DIRECTORY } from './journal.ts';
import { readText } from './read-text.ts';

/**
 * Takes the lock, which is held until the process ends or what this gives is called. No process that was killed keeps it. Throws
 * LocalRefusedError where another has it.
 */
export function lockState(host: Host, state: string = STATE_DIRECTORY): () => void {
  host.makeDirectory(state);
  return lockStore(host, `${state}/lock`);
}

/**
 * The same of the local store in the device, file or folder of variables `path`, whatever the state directories are of those who
 * write there.
 */
export function lockStore(host: Host, path: string): () => void {
  const release = host.lock(path);
  if (release === undefined)
    throw new LocalRefusedError(`${path} is locked: another agent is at work here (${holderOf(host, path)})`);
  return release;
}

/**
 * Which process has `path` open, in words, by whatever name it opened that; how to find out where that cannot be told: other users'
 * files are their own.
 */
function holderOf(host: Host, path: string): string {
  const held = host.fileId(path);
  for (const id of host.list('/proc')) {
    const files = /^\d+$/.test(id) ? unlessGone(() => host.list(`/proc/${id}/fd`), []) : [];
    if (files.some((file) => unlessGone(() => host.fileId(`/proc/${id}/fd/${file}`), '') === held)) {
      const words = unlessGone(() => readText(host, `/proc/${id}/cmdline`), '').replaceAll('\0', ' ');
      return `process ${id}: ${plain(words).trim()}`;
    }
  }
  return `fuser ${path} tells which`;
}

function unlessGone<T>(work: () => T, otherwise: T): T {
  try {
    return work();
  } catch {
    return otherwise;
  }
}
