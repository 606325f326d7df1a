/** JSON as the verbs print it. */
import { plainJson } from '../protocol/plain.ts';

/** Indented, without control characters. */
export function jsonText(value: unknown): string {
  return plainJson(JSON.stringify(value, null, 2));
}
