/** A wrong wish: a bad name, one that is taken, something that is damaged. The message tells people what and why. */
export class StoreError extends Error {}

/** A file that somebody named for the imager to read cannot be read. */
export class SourceError extends StoreError {}

/** Somebody else has it. */
export class BusyError extends StoreError {}

/** A name that is not there; `known` are those that are. */
export class UnknownNameError extends StoreError {
  readonly known: readonly string[];
  constructor(kind: string, name: string, known: readonly string[]) {
    super(`no ${kind} "${name.slice(0, 80)}"; ${whatExists(kind, known)}`);
    this.known = known;
  }
}

/** The names there are, for the end of an error message. */
export function whatExists(kind: string, names: readonly string[]): string {
  return names.length === 0 ? `there is no ${kind} yet` : `there is: ${names.join(', ')}`;
}
