/** The kinds of pointer stores, for `--help`. */
import { STORE_KINDS } from '../linux/eeprom.ts';
import { columns } from './help.ts';

export function storesText(): string {
  return `Stores:\n${columns(Object.entries(STORE_KINDS).map(([kind, { path }]) => [`${kind}:PATH`, path]))}`;
}
