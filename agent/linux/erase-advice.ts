/** What people are told to do about a local store, as the command that does it. */
import { LocalStoreError } from '../protocol/local-content.ts';

/** The command that forgets `what`. `place`: options by which `agent local` finds the store, where it does not by itself. */
export function eraseCommand(what: string, place: string | undefined): string {
  return ['agent local erase', what, ...(place ? [place] : [])].join(' ');
}

/** What `read` gives. Throws LocalStoreError where the store is damaged, which says what ends that. */
export function withAdvice<T>(place: string | undefined, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof LocalStoreError)) throw error;
    throw new LocalStoreError(
      `${error.message}; \`${eraseCommand('--all', place)}\` forgets everything that is there`,
    );
  }
}
