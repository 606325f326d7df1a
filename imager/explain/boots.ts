/** Attempts to boot as text: a head with the outcome, and a line for each step. Pure. */
import { type Attempt, END_EVENTS } from '../journal/attempts.ts';
import type { RecordedEvent } from '../journal/event.ts';
import { fallbackOfDetail, fallbackWords } from '../model/fallback.ts';
import { explainJournal } from './explain.ts';
import { eventRow, type Row } from './timeline.ts';

export interface AttemptText {
  /** `stopped at dhcp: ...`, `ready after 14.2 s`. */
  outcome: string;
  rows: Row[];
}

/** An attempt in words. `imager`: the address of the imager whose journal it is. */
export function attemptText(attempt: Attempt, { who, imager }: { who: string; imager: string }): AttemptText {
  return { outcome: outcomeWords(attempt, who, imager), rows: attemptRows(attempt) };
}

/** One line for each event; what a node that is ready does to keep its address is no part of its boot. */
export function attemptRows(attempt: Attempt): Row[] {
  const { events, startedAt, omitted } = attempt;
  const end = readyAt(attempt);
  return events.flatMap((event, index) => {
    const row = eventRow(event, startedAt);
    const shown = isPart(event, end) ? [row] : [];
    const gap = omitted > 0 && index === END_EVENTS - 1;
    return gap ? [...shown, { ...row, who: '...', what: `${omitted} more` }] : shown;
  });
}

/** The line of the latest event, where it has one. */
export function latestRow(attempt: Attempt): Row | undefined {
  const last = attempt.events.at(-1)!;
  return isPart(last, readyAt(attempt)) ? eventRow(last, attempt.startedAt) : undefined;
}

function readyAt({ events }: Attempt): number | undefined {
  return events.find(({ component, step }) => component === 'agent' && step === 'ready')?.at;
}

function isPart({ at, component, reason }: RecordedEvent, ready: number | undefined): boolean {
  return ready === undefined || at <= ready || component !== 'dhcp' || reason !== undefined;
}

function outcomeWords(attempt: Attempt, who: string, imager: string): string {
  const { outcome, phase, events, startedAt, lastAt } = attempt;
  const seconds = (at: number) => ((at - startedAt) / 1000).toFixed(1);
  switch (outcome) {
    case 'ready': {
      const at =
        events.find(({ component, step }) => component === 'agent' && step === 'ready')?.at ?? lastAt;
      return [`ready after ${seconds(at)} s`, ...fallbackOf(events)].join(', with ');
    }
    case 'rebooted':
      return `restarted by its agent after ${seconds(lastAt)} s`;
    case 'supervised':
      return explainJournal(events, { who, imager, now: lastAt })?.cause ?? 'its system is up';
    case 'in-progress':
      return `in progress, at ${phase}`;
    case 'stopped': {
      // Judged as of its end and some silence: what came after is another attempt's.
      const now = lastAt + 60_000;
      const found = explainJournal(events, { who, imager, now, over: true });
      return `stopped at ${phase}: ${found?.cause ?? 'nothing more was heard'}`;
    }
  }
}

/**
 * Of `known`, how many attempts before those `shown` were of the image for which the latest one took the fallback; undefined
 * where it took none. Which image one was of shows in what it fetched, or in what its agent said.
 */
export function earlierOfFailed(
  shown: readonly Attempt[],
  known: readonly Attempt[],
): { failed: string; count: number } | undefined {
  const detail = fallbackDetail(shown.at(-1)?.events ?? []);
  if (detail === undefined) return undefined;
  const failed = String(detail.failed);
  const first = shown[0]!.startedAt;
  const isOfFailed = ({ detail: said }: RecordedEvent) =>
    said?.bootedImage === failed || String(said?.file ?? '').includes(`images/${failed}/`);
  const count = known.filter(({ startedAt, events }) => startedAt < first && events.some(isOfFailed)).length;
  return { failed, count };
}

function fallbackDetail(events: readonly RecordedEvent[]): RecordedEvent['detail'] {
  return events.find(({ component, step }) => component === 'agent' && step === 'fallback')?.detail;
}

/** Where the boot was of the fallback image: why, in words. */
function fallbackOf(events: readonly RecordedEvent[]): string[] {
  const detail = fallbackDetail(events);
  return detail === undefined ? [] : [fallbackWords(fallbackOfDetail(detail))];
}
