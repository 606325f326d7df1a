/** `--store KIND:PATH` of the verbs that name a pointer store. */
import { InvalidArgumentError } from 'commander';
import { STORE_KINDS } from '../linux/eeprom.ts';

export interface NamedStore {
  kind: string;
  path: string;
}

export function parseStore(value: string): NamedStore {
  const colon = value.indexOf(':');
  if (!Object.hasOwn(STORE_KINDS, value.slice(0, Math.max(colon, 0))) || colon === value.length - 1)
    throw new InvalidArgumentError(`expected KIND:PATH, KIND one of ${Object.keys(STORE_KINDS).join(', ')}.`);
  return { kind: value.slice(0, colon), path: value.slice(colon + 1) };
}

/** For `--help`. */
export function storesText(): string {
  const lines = Object.entries(STORE_KINDS).map(
    ([kind, { path }]) => `  ${`${kind}:PATH`.padEnd(17)} ${path}`,
  );
  return `Stores:\n${lines.join('\n')}\n`;
}
