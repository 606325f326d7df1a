/**
 * A node's way into the cluster: judged (reconcile.ts), and what that asks for done on both sides, in an order in which a
 * crash between any two messages leaves what the next join repairs. Written and durable here before the node is told,
 * except that a deletion's key is kept until the node has erased its copy.
 */
import type { Definition } from '../../agent/protocol/definition.ts';
import type { LocalDefinition } from '../../agent/protocol/membership.ts';
import type { Uid } from '../../agent/protocol/uid.ts';
import type { Enrolment } from '../model/config.ts';
import type { Defined } from '../model/views.ts';
import type { GlobalDefinition } from './definition.ts';
import { judge, type Verdict } from './reconcile.ts';
import { type Definitions, TakenError } from './store.ts';

/** The node at the other end of a connection. What it does not answer rejects. */
export interface NodeEnd {
  /** What it says of itself and of its copy in this cluster. */
  identify(cluster: string): Promise<{ uid: Uid; local: LocalDefinition | null }>;
  commit(definition: Definition): Promise<void>;
  erase(definition: string): Promise<void>;
  correct(definition: string, to: Uid): Promise<void>;
  /** Whether this error of the above is the node's own word that it did not do what was asked. */
  saidNo(error: unknown): boolean;
}

/** What a node said as it came. */
export interface Applicant {
  /** Of the configured node it was recognised as. */
  name: string;
  address: string;
  uid: Uid;
  /** As in its hello: of whatever cluster it is in. */
  local: LocalDefinition | null;
  keeps: boolean;
  /** As in its hello: the disk that its copy is on, or would be. */
  keptOn: string | undefined;
  /** Whether it was flashed, as far as is known, from the root disk `from` to `to`. */
  flashed(from: string, to: string): boolean;
  /** Whether the agent that was taken in as the node before is there still: from another disk it cannot have booted meanwhile. */
  isPresent(): Promise<boolean>;
  /** Id of the definition whose key secures the connection; undefined for the key of enrolment. */
  identity: string | undefined;
}

export type Deed = Exclude<Verdict['do'], 'join' | 'refuse'>;

export type Admission =
  /** `defined`: how it came to its definition, where that was made as it came. */
  | { admitted: true; definition: GlobalDefinition; deeds: Deed[]; defined?: Defined }
  /** `reason`: a fixed word. */
  | { admitted: false; reason: string; why: string; deeds: Deed[] };

/** More than any join takes; one that would go round for ever ends here. */
const MOST_DEEDS = 8;

/** Takes a node in or not. Rejects where the node goes away meanwhile, or the registry cannot be written. */
export async function admit(
  applicant: Applicant,
  end: NodeEnd,
  definitions: Definitions,
  { enrolment, now }: { enrolment: Enrolment; now(): number },
): Promise<Admission> {
  const { name, uid, keeps, keptOn, identity } = applicant;
  // A definition in another cluster is none here.
  let local = applicant.local?.cluster === definitions.cluster.id ? applicant.local : null;
  const deeds: Deed[] = [];
  const refused = (reason: string, why: string): Admission => ({ admitted: false, reason, why, deeds });
  while (deeds.length <= MOST_DEEDS) {
    const global = local === null ? definitions.ofNode(name) : definitions.byId(local.id);
    const other = definitions.withUid(uid);
    const { wanted, closed } = definitions.standing(name);
    const on = global?.disk;
    const elsewhere = on !== undefined && keptOn !== undefined && on !== keptOn;
    const moved = elsewhere && applicant.flashed(on, keptOn) && !(await applicant.isPresent());
    const verdict = judge({
      ...{ name, original: uid, local, keeps, identity, global, moved, enrolment },
      other: other !== undefined && other.name !== name ? other.name : undefined,
      standing: wanted !== undefined ? 'wanted' : closed ? 'closed' : undefined,
    });
    if (verdict.do === 'refuse') return refused(verdict.reason, `${name} ${verdict.why}`);
    if (verdict.do === 'join') return { admitted: true, definition: global!, deeds };
    deeds.push(verdict.do);
    switch (verdict.do) {
      case 'finish':
        await definitions.finish(local!.id);
        break;
      case 'settle':
        await definitions.settle(local!.id, verdict.uid);
        break;
      case 'correct':
        await definitions.correcting(local!.id, uid);
        await end.correct(local!.id, uid);
        local = { ...local!, uid };
        break;
      case 'erase':
        await erase(local!.id, end, definitions);
        // It has no key any more, so it comes again as a stranger, of whom everything is asked that strangers are.
        return refused('erased', `${name} was deleted from the cluster: its copy is erased`);
      case 'define': {
        const made = await define(applicant, end, definitions, now());
        if ('why' in made) return refused(made.reason, `${name} ${made.why}`);
        return { admitted: true, definition: made, deeds, defined: verdict.as };
      }
    }
  }
  throw new Error(`${name}: ${deeds.join(', ')} and still not settled`);
}

/** Deletes a definition on both sides: the cluster's first, so that the node is cleaned at a later join at worst. */
export async function erase(id: string, end: NodeEnd, definitions: Definitions): Promise<void> {
  const global = definitions.byId(id);
  if (global !== undefined && global.state !== 'undefining') await definitions.remove(id);
  await end.erase(id);
  await definitions.erased(id);
}

/** Seed 002, figure 13, steps 2 to 14. */
async function define(
  { name, address, uid, keeps, keptOn: disk }: Applicant,
  end: NodeEnd,
  definitions: Definitions,
  at: number,
): Promise<GlobalDefinition | { reason: string; why: string }> {
  if (keeps) {
    const said = await end.identify(definitions.cluster.id);
    if (said.uid !== uid)
      return { reason: 'other-uid', why: `said it was ${uid} and says it is ${said.uid}` };
    const former = said.local === null ? undefined : definitions.byId(said.local.id);
    // Any other one of this cluster is an old one, which the new one replaces.
    if (former !== undefined && former.state !== 'undefining' && former.name !== name)
      return { reason: 'identity', why: `keeps the definition of ${former.name}` };
  }
  let entry: GlobalDefinition;
  try {
    entry = await definitions.begin({ name, uid, address, keeps, disk, at });
  } catch (error) {
    if (error instanceof TakenError) return { reason: 'define', why: `cannot be defined: ${error.message}` };
    throw error;
  }
  const copy = definitions.copyOf(entry);
  if (copy === undefined) return entry;
  try {
    await end.commit(copy);
  } catch (error) {
    // Without its answer nobody knows whether the node has it: its next hello tells.
    if (!end.saidNo(error)) throw error;
    await definitions.remove(entry.id);
    return { reason: 'define', why: `cannot be defined: ${(error as Error).message}` };
  }
  await definitions.finish(entry.id);
  return definitions.byId(entry.id)!;
}
