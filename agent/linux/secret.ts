/** What this node secures its connections to an imager with. */
import type { LocalContent } from '../protocol/definition.ts';
import { ENROL_IDENTITY, ENROLMENT_KEY, parseEnrolmentKey } from '../protocol/enrolment.ts';
import { eraseCommand } from './erase-advice.ts';
import type { Host, Secret } from './host.ts';
import { currentOf } from './membership.ts';
import { readText } from './read-text.ts';

/** The operator's own key of enrolment, in the initramfs. */
export const ENROLMENT_KEY_FILE = '/etc/bootwright/enrolment-key';

/** What secures a connection of this node's, and what that is. */
export interface NodeSecret extends Secret {
  /** The cluster whose key it is, by its name or, of namesakes, its id; undefined where it is the key of enrolment. */
  cluster?: string;
  /** The command that has the node forget that cluster. */
  erase?: string;
}

/**
 * The key of the current definition; without one that of enrolment. A node with a definition never uses that again: somebody who
 * took an imager's place would have it defined anew. `place`: options by which `agent local` finds what is `local`, where it does not
 * by itself. Throws where the operator's key is damaged.
 */
export function secretOf(host: Host, local: LocalContent | undefined, place?: string): NodeSecret {
  const definition = currentOf(local);
  if (definition !== undefined) {
    const { id, key, cluster } = definition;
    const namesakes = local?.definitions.filter((each) => each.cluster.name === cluster.name) ?? [];
    const called = namesakes.length > 1 ? cluster.id : cluster.name;
    return { identity: id, key, cluster: called, erase: eraseCommand(called, place) };
  }
  if (!host.exists(ENROLMENT_KEY_FILE)) return { identity: ENROL_IDENTITY, key: ENROLMENT_KEY };
  const key = parseEnrolmentKey(readText(host, ENROLMENT_KEY_FILE));
  if (key === undefined) throw new Error(`${ENROLMENT_KEY_FILE} holds no key of 64 hexadecimal digits`);
  return { identity: ENROL_IDENTITY, key };
}
