/** From what was seen to what is wrong, in words. Pure. */
import type { RecordedEvent } from '../journal/event.ts';
import { supervisedWord } from '../journal/supervised.ts';
import { readCapture } from './capture.ts';
import { type Finding, patienceOf, where } from './finding.ts';
import { observeCapture } from './from-capture.ts';
import { observeJournal } from './from-journal.ts';
import type { Observation } from './observation.ts';
import { RULES } from './rules.ts';
import { lastBoot, type Story, storyOf } from './story.ts';
import { observationRows, type Row, rowOf } from './timeline.ts';

export interface Explanation extends Finding {
  /** The node's name, or its MAC. */
  who: string;
  /** When the boot that is explained began: milliseconds since the epoch. */
  startedAt: number;
  /** When another one began since, which has hardly begun. */
  nextAt?: number;
  /** How far the boot came: what happened, in order. */
  course: Row[];
}

/** What is known besides the journal: without it less is advised. */
export interface Surroundings {
  /** Files there are for the node. */
  files: readonly string[];
  /** Names of the boot table. */
  images?: readonly string[];
  /** What the imager says is wrong with what it serves. */
  problems?: readonly string[];
  /** When the imager began to run: milliseconds since the epoch. */
  started?: number;
}

/** What is wrong with the last boot of each client of a capture, and what is wrong with the file itself. */
export function explainCapture(bytes: Uint8Array): { clients: Explanation[]; fault?: string } {
  const { frames, fault } = readCapture(bytes);
  const endAt = frames.reduce((latest, { at }) => Math.max(latest, at), 0);
  const clients = observeCapture(frames).map(({ who, observations }) => {
    // Of what was cut no boots are told apart.
    const whole = !observations.some(({ kind }) => kind === 'cut');
    const { boot, nextAt } = whole ? lastBoot(observations, endAt) : { boot: observations };
    return explanation(
      storyOf(boot, { who, source: 'capture', endAt, over: nextAt !== undefined }),
      judge,
      nextAt,
    );
  });
  return fault === undefined ? { clients } : { clients, fault };
}

/**
 * What is wrong with the last boot of a node; undefined where the journal has none. `now`: milliseconds. `over`: that boot is,
 * whatever has not ended in it.
 */
export function explainJournal(
  events: readonly RecordedEvent[],
  {
    who,
    imager,
    now,
    known,
    over = false,
  }: { who: string; imager: string; now: number; known?: Surroundings; over?: boolean },
): Explanation | undefined {
  const { boot, nextAt } = lastBoot(observeJournal(events, imager, known?.started), now);
  if (boot.length === 0) return undefined;
  const story = storyOf(boot, {
    ...{ who, source: 'journal', imager, endAt: now, over: over || nextAt !== undefined },
    knownFiles: known?.files ?? [],
    ...(known?.images === undefined ? {} : { images: known.images }),
    ...(known?.problems === undefined ? {} : { problems: known.problems }),
  });
  return explanation(story, isUnderWay(story) ? underWay : judge, nextAt);
}

function explanation(story: Story, find: (story: Story) => Finding, nextAt: number | undefined): Explanation {
  return {
    who: story.who,
    startedAt: Math.round(story.startedAt),
    ...(nextAt === undefined ? {} : { nextAt: Math.round(nextAt) }),
    ...find(story),
    course: observationRows(story),
  };
}

function judge(story: Story): Finding {
  for (const rule of RULES) {
    const finding = rule(story);
    if (finding !== undefined) return finding;
  }
  return {
    cause: 'nothing is known to be wrong, and it did not come to ready',
    evidence: [],
    advice: [`follow its next boot: imager node boots ${story.who} --follow`],
  };
}

/** Only good news, and so lately that more may come. */
function isUnderWay(story: Story): boolean {
  const { boot, endAt, over, agent } = story;
  if (over || agent.some(({ step }) => step === 'ready') || supervisedWord(agent) !== undefined) return false;
  if (boot.some((each) => each.kind === 'transfer' && each.end === 'open')) return true;
  const last = boot.at(-1)!;
  const at = last.kind === 'transfer' ? last.lastAt : last.at;
  return endAt - at < patienceOf(story, last) && isGood(last);
}

function isGood(last: Observation): boolean {
  switch (last.kind) {
    case 'transfer':
      return !['refused', 'broken', 'unanswered'].includes(last.end);
    case 'agent':
      return !['ready', 'failed', 'retry', 'fall-back', 'refused'].includes(last.step);
    case 'disk':
      return last.reason === undefined;
    case 'answer':
      return last.type !== 'nak' && (last.noFile === undefined || last.menu !== undefined);
    case 'ask':
      return last.unanswered === undefined;
    default:
      return last.kind === 'power';
  }
}

/** What went wrong on the way is told: whether it matters shows by what follows. */
function underWay(story: Story): Finding {
  const follow = `follow it: imager node boots ${story.who} --follow`;
  const bad = story.boot.filter((each) => isNews(each) && !isGood(each));
  const last = bad.at(-1);
  if (last === undefined)
    return { cause: 'it is booting: nothing has gone wrong so far', evidence: [], advice: [follow] };
  const rows = bad.slice(-8).map((each) => `${rowOf(each, story.who).what}: ${where(story, each)}`);
  return {
    cause: `it is booting, after ${bad.length === 1 ? 'a failure' : `${bad.length} failures`} on the way: ${rowOf(last, story.who).what}`,
    evidence: rows,
    advice: ['loaders try several names: one that is not there matters where nothing else follows', follow],
  };
}

/** Servers of two minds about an address are usual, and so are requests that are sent again. */
function isNews({ kind }: Observation): boolean {
  return kind === 'transfer' || kind === 'agent' || kind === 'disk';
}
