/** The key of enrolment: the operator's own, or the one everybody has. */
import { readFileSync } from 'node:fs';
import { ENROLMENT_KEY, parseEnrolmentKey } from '../../agent/protocol/enrolment.ts';

/** Reads the file `agents.enrolmentKey` names. Throws Error that names it, and nothing of what is in it, where it has no key. */
export function readEnrolmentKey(file: string | undefined): Uint8Array {
  if (file === undefined) return ENROLMENT_KEY;
  const key = parseEnrolmentKey(readFileSync(file, 'utf8'));
  if (key === undefined)
    throw new Error(
      `agents.enrolmentKey: ${file} holds no key of 64 hexadecimal digits (openssl rand -hex 32)`,
    );
  return key;
}
