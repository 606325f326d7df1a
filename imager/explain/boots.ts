/** Attempts to boot as text: a head with the outcome, and a line for each step. Pure. */
import type { Attempt } from '../journal/attempts.ts';
import type { RecordedEvent } from '../journal/event.ts';
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
export function attemptRows({ events, startedAt }: Pick<Attempt, 'events' | 'startedAt'>): Row[] {
  const ready = events.findIndex(({ component, step }) => component === 'agent' && step === 'ready');
  return events
    .filter((event, index) => ready < 0 || index <= ready || !isRenewal(event))
    .map((event) => eventRow(event, startedAt));
}

function outcomeWords(attempt: Attempt, who: string, imager: string): string {
  const { outcome, phase, events, startedAt, lastAt } = attempt;
  const seconds = (at: number) => ((at - startedAt) / 1000).toFixed(1);
  switch (outcome) {
    case 'ready': {
      const at =
        events.find(({ component, step }) => component === 'agent' && step === 'ready')?.at ?? lastAt;
      return `ready after ${seconds(at)} s`;
    }
    case 'rebooted':
      return `restarted by its agent after ${seconds(lastAt)} s`;
    case 'in-progress':
      return `in progress, at ${phase}`;
    case 'stopped': {
      // Judged as of its end and some silence: what came after is another attempt's.
      const now = lastAt + 60_000;
      const found = explainJournal(events, { who, imager, now, knownFiles: [] });
      return `stopped at ${phase}: ${found?.cause ?? 'nothing more was heard'}`;
    }
  }
}

function isRenewal({ component, reason }: RecordedEvent): boolean {
  return component === 'dhcp' && reason === undefined;
}
