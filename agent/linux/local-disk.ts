/**
 * The local store of a node that boots and has no room for one beside its boot pointer: the folder on its root disk
 * (local-folder.ts), which it comes to once that is mounted.
 */
import type { LocalStore } from '../protocol/definition.ts';
import { withAdvice } from './erase-advice.ts';
import type { Host } from './host.ts';
import { STATE_DIRECTORY } from './journal.ts';
import { openLocalFolder } from './local-folder.ts';

/**
 * Opens the store on the mounted root disk, whose name is `disk`. What is on a copy of another disk (a base image that was made of
 * it) is that one's, and forgotten. Only for who has the lock of the state directory (state-lock.ts). Throws LocalStoreError where
 * it is damaged.
 */
export function openLocalDisk(host: Host, disk: string): LocalStore {
  const folder = withAdvice(undefined, () => openLocalFolder(host, STATE_DIRECTORY, disk));
  const from = folder.copiedFrom();
  if (from !== undefined) {
    host.print(`bootwright: disk ${disk} is a copy of ${from}: whose node that was is forgotten here`);
    folder.clear();
  }
  return folder;
}
