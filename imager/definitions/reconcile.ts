/**
 * What is to be done with a node that wants to join: pure. The three copies of its hardware UID are compared (seed 002,
 * figure 11), and where one of the copies is missing the order of a definition goes on from where it stands (figure 13).
 */
import type { LocalDefinition } from '../../agent/protocol/membership.ts';
import type { Uid } from '../../agent/protocol/uid.ts';
import type { Enrolment } from '../model/config.ts';
import type { Defined } from '../model/views.ts';
import type { GlobalDefinition } from './definition.ts';

/**
 * The four scenarios of seed 002, page 26 to 28. `original`: what the machine has now; `local`: what the node keeps;
 * `global`: what the cluster keeps, undefined where it has no such definition.
 */
export function reconcile(original: Uid, local: Uid, global: Uid | undefined): 'join' | 'erase' | 'correct' {
  // 2 and 4: deleted while it was away. That the cluster does not agree decides, whatever the machine is by now.
  if (local !== global) return 'erase';
  // 1: all agree. 3: local and global agree that it is one of ours, so its hardware was replaced.
  return original === local ? 'join' : 'correct';
}

export interface Facts {
  /** Of the node, as advice has it. */
  name: string;
  original: Uid;
  /** The node's copy in this cluster. */
  local: LocalDefinition | null;
  /** Whether the node can keep one. */
  keeps: boolean;
  /** Id of the definition whose key secures the connection; undefined where it is the key of enrolment. */
  identity: string | undefined;
  /** With a local copy the definition of its id, else that of the node, if it is not `undefining`. */
  global: GlobalDefinition | undefined;
  /** The node was flashed from the disk that its copy is on to the one that it has now, has not been defined on that yet, and is gone. */
  moved: boolean;
  /** Name of another node that is defined with this original. */
  other: string | undefined;
  enrolment: Enrolment;
  /** Whether the operator asked for the node to be defined, or undefined it. */
  standing: 'wanted' | 'closed' | undefined;
}

export type Verdict =
  | { do: 'join' }
  /** The node has its copy: what was begun is complete. */
  | { do: 'finish' }
  /** Nothing is left to correct: the cluster takes what the node has. */
  | { do: 'settle'; uid: Uid }
  /** Both copies take the original. */
  | { do: 'correct' }
  /** The node's copy goes. */
  | { do: 'erase' }
  /** A definition is made; one there is of the node goes. */
  | { do: 'define'; as: Defined }
  /** `reason`: a fixed word. */
  | { do: 'refuse'; reason: string; why: string };

/** The next thing to do. After each but `join` and `refuse` it is judged anew. */
export function judge(facts: Facts): Verdict {
  if (facts.local !== null) return judgeMember(facts, facts.local);
  // Strangers have the key of enrolment. What is asked of them was not asked of whoever has a deleted one's.
  if (facts.identity !== undefined)
    return refuse('identity', `uses the key of definition ${facts.identity} and says it has none`);
  return judgeStranger(facts);
}

function judgeMember({ original, identity, global, other }: Facts, local: LocalDefinition): Verdict {
  // What a hello says is not believed without the key: neither that the hardware was replaced, nor anything else.
  if (identity !== local.id)
    return refuse('identity', `says it has definition ${local.id} and does not use its key`);
  if (global === undefined || global.state === 'undefining') return { do: 'erase' };
  if (global.state === 'defining') return { do: 'finish' };
  const { correcting, uid, number } = global;
  if (correcting !== undefined && local.uid === correcting) return { do: 'settle', uid: correcting };
  // Begun, and the old hardware is back before the node took the correction.
  if (correcting !== undefined && local.uid === uid && original === uid) return { do: 'settle', uid };
  const verdict = local.number === number ? reconcile(original, local.uid, uid) : 'erase';
  return verdict === 'correct' && other !== undefined ? ofOther(original, other) : { do: verdict };
}

function judgeStranger({ name, original, keeps, global, moved, other, enrolment, standing }: Facts): Verdict {
  if (global === undefined || global.state !== 'defined') {
    if (other !== undefined) return ofOther(original, other);
    if (standing === 'closed' || (enrolment === 'asked' && standing !== 'wanted'))
      return refuse('not-defined', `is not defined to the cluster: imager node define ${name} does that`);
    return { do: 'define', as: standing === 'wanted' ? 'asked' : 'first-use' };
  }
  const anew: Verdict = { do: 'define', as: 'anew' };
  if (global.key !== null) {
    // Its key stayed behind on the disk it was taken off, by who may flash it.
    if (keeps && (enrolment === 'always' || moved))
      return other === undefined ? anew : ofOther(original, other);
    return refuse(
      'no-key',
      `${uidWords(original, global)}${keylessWords(keeps, global.disk)} imager node undefine ${name} and define ${name} give it another`,
    );
  }
  if (global.uid !== original) {
    if (enrolment === 'always') return other === undefined ? anew : ofOther(original, other);
    return refuse('other-uid', `is defined with UID ${global.uid}, not ${original}`);
  }
  return keeps ? anew : { do: 'join' };
}

/** What is said first where who came, known by its MAC or address alone, is by its UID another machine than the one defined. */
function uidWords(original: Uid, { uid, correcting }: GlobalDefinition): string {
  if (original === uid || original === correcting) return '';
  return (
    `is defined with UID ${uid}, and who came gave UID ${original}: look at that first (agent uid tells it there; agent supervise ` +
    'may have it from --uid-file). Only if that UID is right: the node '
  );
}

function keylessWords(keeps: boolean, disk: string | undefined): string {
  if (keeps)
    return 'is defined, and who came does not have its key: somebody else, or it lost its store; only where you know that it did,';
  return disk === undefined
    ? 'is defined with a key that it has nowhere to keep at boot: end agent supervise on it, if that was it, then'
    : `is defined with a key on its disk ${disk}, which it could not mount or read (its console tells why). Where that is lost:`;
}

function ofOther(original: Uid, other: string): Verdict {
  return refuse('uid-of-other', `has UID ${original}, with which ${other} is defined`);
}

function refuse(reason: string, why: string): Verdict {
  return { do: 'refuse', reason, why };
}
