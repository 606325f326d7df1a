/** What this node secures its connections to an imager with. */
import type { Definition } from '../protocol/definition.ts';
import { ENROL_IDENTITY, ENROLMENT_KEY, parseEnrolmentKey } from '../protocol/enrolment.ts';
import type { Host, Secret } from './host.ts';
import { readText } from './read-text.ts';

/** The operator's own key of enrolment, in the initramfs. */
export const ENROLMENT_KEY_FILE = '/etc/bootwright/enrolment-key';

/**
 * The definition's key; without one that of enrolment. A node with a definition never uses that again: somebody who took an
 * imager's place would have it defined anew. Throws where the operator's key is damaged.
 */
export function secretOf(host: Host, definition: Definition | undefined): Secret {
  if (definition !== undefined) return { identity: definition.id, key: definition.key };
  if (!host.exists(ENROLMENT_KEY_FILE)) return { identity: ENROL_IDENTITY, key: ENROLMENT_KEY };
  const key = parseEnrolmentKey(readText(host, ENROLMENT_KEY_FILE));
  if (key === undefined) throw new Error(`${ENROLMENT_KEY_FILE} holds no key of 64 hexadecimal digits`);
  return { identity: ENROL_IDENTITY, key };
}
