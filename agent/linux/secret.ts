/** What this node secures its connections to an imager with. */
import type { LocalContent } from '../protocol/definition.ts';
import {
  ENROL_IDENTITY,
  ENROLMENT_KEY,
  ENROLMENT_KEY_FILE,
  parseEnrolmentKey,
} from '../protocol/enrolment.ts';
import { eraseCommand } from './erase-advice.ts';
import type { Host, Secret } from './host.ts';
import { currentOf } from './membership.ts';
import { readText } from './read-text.ts';

/** What secures a connection of this node's, and what that is. */
export interface NodeSecret extends Secret {
  /** The cluster whose key it is, by its name or, of namesakes, its id; undefined where it is the key of enrolment. */
  cluster?: string;
  /** The command that has the node forget that cluster. */
  erase?: string;
}

/** Where an agent has its keys that is a process of a system. */
export interface KeyPlaces {
  /** The option by which `agent local` finds its local store. */
  local: string;
  /** File with the operator's key of enrolment, where one was named. */
  enrolmentKey: string | undefined;
}

/** Read or written by users other than its owner and its group. */
const OPEN_TO_ALL = 0o006;

/**
 * The key of the current definition; without one that of enrolment. A node with a definition never uses that again: somebody who
 * took an imager's place would have it defined anew. `places`: none in an initramfs, which has nobody else in it. Throws where there
 * should be a key of enrolment, and is none.
 */
export function secretOf(host: Host, local: LocalContent | undefined, places?: KeyPlaces): NodeSecret {
  const definition = currentOf(local);
  if (definition === undefined) return { identity: ENROL_IDENTITY, key: enrolmentKey(host, places) };
  const { id, key, cluster } = definition;
  const namesakes = local?.definitions.filter((each) => each.cluster.name === cluster.name) ?? [];
  const called = namesakes.length > 1 ? cluster.id : cluster.name;
  return { identity: id, key, cluster: called, erase: eraseCommand(called, places?.local) };
}

/** The operator's, where there is one: a file that was named must be there. */
function enrolmentKey(host: Host, places: KeyPlaces | undefined): Uint8Array {
  if (places?.enrolmentKey !== undefined) return guardedEnrolmentKey(host, places.enrolmentKey);
  if (!host.exists(ENROLMENT_KEY_FILE)) return ENROLMENT_KEY;
  return places === undefined
    ? readEnrolmentKey(host, ENROLMENT_KEY_FILE)
    : guardedEnrolmentKey(host, ENROLMENT_KEY_FILE);
}

/** That in a file of a system with users. Throws where it is not there, is a folder, is open to all of them, or holds none. */
export function guardedEnrolmentKey(host: Host, file: string): Uint8Array {
  if (!host.exists(file)) throw new Error(`key of enrolment: there is no file ${file}`);
  if (isFolder(host, file)) throw new Error(`key of enrolment: ${file} is a folder, not a file`);
  const mode = host.mode(file);
  if ((mode & OPEN_TO_ALL) !== 0)
    throw new Error(
      `key of enrolment: every user may read or write ${file} (mode ${mode.toString(8)}): chmod 600 ${file}`,
    );
  return readEnrolmentKey(host, file);
}

function isFolder(host: Host, path: string): boolean {
  try {
    host.list(path);
    return true;
  } catch {
    return false;
  }
}

/** Says nothing of what is in the file. */
function readEnrolmentKey(host: Host, file: string): Uint8Array {
  const key = parseEnrolmentKey(readText(host, file));
  if (key === undefined)
    throw new Error(`key of enrolment: ${file} holds no key of 64 hexadecimal digits (openssl rand -hex 32)`);
  return key;
}
