/** KIND:PATH on command lines: a pointer store. */
import { STORE_KINDS } from './eeprom.ts';
import { UsageError } from './usage-error.ts';

export interface NamedStore {
  kind: string;
  path: string;
}

/** Reads the value of `option`. Throws UsageError. */
export function parseStore(option: string, value: string): NamedStore {
  const colon = value.indexOf(':');
  if (!Object.hasOwn(STORE_KINDS, value.slice(0, Math.max(colon, 0))) || colon === value.length - 1)
    throw new UsageError(
      `${option} ${value}: expected KIND:PATH, KIND one of ${Object.keys(STORE_KINDS).join(', ')}`,
    );
  return { kind: value.slice(0, colon), path: value.slice(colon + 1) };
}
