/** The agent's durable state on the node's own disk, under /var/lib/bootwright. */
import type { Journal } from '../core/state.ts';
import type { JournalStore } from '../ports.ts';
import type { Definition } from '../protocol/definition.ts';
import { encodeFrame, FrameReader } from '../protocol/frame.ts';
import { parsePlan } from '../protocol/messages.ts';
import type { Host } from './host.ts';
import { readText } from './read-text.ts';
import { checkPlan } from './trust.ts';

export const STATE_DIRECTORY = '/var/lib/bootwright';
export const SCRIPT_DIRECTORY = `${STATE_DIRECTORY}/scripts`;
const PLAN = `${STATE_DIRECTORY}/plan.cbor`;
const JOURNAL = `${STATE_DIRECTORY}/journal.json`;
const PHASES = ['installed', 'configured', 'serving', 'ready'];

/** `definition`: who this node is; a plan that was not signed for it is neither installed nor read back (trust.ts). */
export function openJournal(host: Host, definition: () => Definition | undefined): JournalStore {
  const write = (journal: Journal) =>
    host.replaceFile(JOURNAL, new TextEncoder().encode(`${JSON.stringify(journal)}\n`));
  return {
    read(deployment) {
      if (!host.exists(JOURNAL)) return undefined;
      const journal = parseJournal(readText(host, JOURNAL));
      // A plan of an earlier deployment is not even looked at: it may be of another release's form.
      if (journal.deployment !== deployment) return undefined;
      const [frame] = new FrameReader().push(host.readFile(PLAN));
      const plan = parsePlan(frame);
      // The power went between the two writes of a later install: neither is of use alone.
      if (plan.deployment !== deployment) return undefined;
      checkPlan(host, definition(), plan);
      return { journal, plan };
    },
    install(plan, journal) {
      checkPlan(host, definition(), plan);
      host.makeDirectory(SCRIPT_DIRECTORY);
      for (const { name, content } of plan.scripts)
        host.replaceFile(`${SCRIPT_DIRECTORY}/${name}`, new TextEncoder().encode(content), 0o755);
      host.replaceFile(PLAN, encodeFrame(plan));
      write(journal);
    },
    write,
  };
}

/**
 * A journal is written whole or not at all, so anything else in it is damage: it is said, not taken for absence. One of an agent
 * that knew nothing of failed scripts has no `failed`.
 */
function parseJournal(text: string): Journal {
  const { failed = [], ...value } = JSON.parse(text) as Partial<Journal>;
  const known =
    typeof value.deployment === 'string' &&
    typeof value.bootId === 'string' &&
    PHASES.includes(value.phase ?? '') &&
    isNames(value.done) &&
    isNames(failed) &&
    (value.running === undefined || typeof value.running === 'string');
  if (!known) throw new Error(`${JOURNAL} is damaged: ${text.slice(0, 200)}`);
  return { ...(value as Journal), failed };
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}
