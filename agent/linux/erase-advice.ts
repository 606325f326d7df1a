/** What people are told to do about a local store, as the command that does it. */
import { LocalStoreError } from '../protocol/local-content.ts';

/** An option by which `agent local` finds a store, as it is typed at a shell. */
export function placeOption(name: 'state' | 'store', value: string): string {
  return `--${name} ${shellWord(value)}`;
}

/**
 * The command that forgets `what`. `place`: options (placeOption) by which `agent local` finds the store, where it does not by
 * itself.
 */
export function eraseCommand(what: string, place: string | undefined): string {
  return ['agent local erase', shellWord(what), ...(place ? [place] : [])].join(' ');
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

/** In quotes where a shell would take it for anything else than one word as it stands. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
