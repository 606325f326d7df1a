/** From what was seen to what is wrong, in words. Pure. */
import type { RecordedEvent } from '../journal/event.ts';
import { readCapture } from './capture.ts';
import type { Finding } from './finding.ts';
import { observeCapture } from './from-capture.ts';
import { observeJournal } from './from-journal.ts';
import type { Observation } from './observation.ts';
import { RULES } from './rules.ts';
import { lastBoot, type Story, storyOf } from './story.ts';
import { observationRows, type Row } from './timeline.ts';

export interface Explanation extends Finding {
  /** The node's name, or its MAC. */
  who: string;
  /** How far the boot came: what happened, in order. */
  course: Row[];
}

/** A boot that was active so lately may still be going well. */
const ACTIVE_MS = 5000;

/** What is wrong with the last boot of each client of a capture, and what is wrong with the file itself. */
export function explainCapture(bytes: Uint8Array): { clients: Explanation[]; fault?: string } {
  const { frames, fault } = readCapture(bytes);
  const endAt = frames.reduce((latest, { at }) => Math.max(latest, at), 0);
  const clients = observeCapture(frames).map(({ who, observations }) =>
    explained(storyOf(lastBoot(observations, endAt), { who, source: 'capture', endAt })),
  );
  return fault === undefined ? { clients } : { clients, fault };
}

/** What is wrong with the last boot of a node; undefined where the journal has none. `now`: milliseconds. */
export function explainJournal(
  events: readonly RecordedEvent[],
  {
    who,
    imager,
    now,
    knownFiles,
  }: { who: string; imager: string; now: number; knownFiles: readonly string[] },
): Explanation | undefined {
  const boot = lastBoot(observeJournal(events, imager), now);
  if (boot.length === 0) return undefined;
  const story = storyOf(boot, { who, source: 'journal', imager, endAt: now, knownFiles });
  return isUnderWay(story) ? underWay(story) : explained(story);
}

function explained(story: Story): Explanation {
  for (const rule of RULES) {
    const finding = rule(story);
    if (finding !== undefined) return { who: story.who, ...finding, course: observationRows(story) };
  }
  return {
    who: story.who,
    cause: 'nothing is known to be wrong, and it did not come to ready',
    evidence: [],
    advice: ['follow its next boot: imager node boots NODE --follow'],
    course: observationRows(story),
  };
}

/** Only good news, and lately. */
function isUnderWay({ boot, endAt }: Story): boolean {
  const last = boot.at(-1)!;
  const at = last.kind === 'transfer' ? last.lastAt : last.at;
  return last.kind === 'transfer' && last.end === 'open' ? true : endAt - at < ACTIVE_MS && isGood(last);
}

function isGood(last: Observation): boolean {
  switch (last.kind) {
    case 'transfer':
      return last.end === 'done' || last.end === 'declined' || last.end === 'waiting';
    case 'agent':
      return !['ready', 'failed', 'retry', 'refused'].includes(last.step);
    case 'disk':
      return last.reason === undefined;
    case 'answer':
      return last.type !== 'nak';
    case 'ask':
      return last.unanswered === undefined;
    default:
      return last.kind === 'power';
  }
}

function underWay(story: Story): Explanation {
  return {
    who: story.who,
    cause: 'it is booting: nothing has gone wrong so far',
    evidence: [],
    advice: ['follow it: imager node boots NODE --follow'],
    course: observationRows(story),
  };
}
