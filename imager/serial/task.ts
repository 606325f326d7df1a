/**
 * What is done over a line, written as generators: they yield what they want of it and are given what came of that. Pure,
 * with no clock of their own; session.ts runs them.
 */
import type { SerialAnswer, SerialRequest } from '../../agent/protocol/serial/operations.ts';
import type { Progress } from './progress.ts';

/** One of: an answer to `request`, or a pattern of `until` in what the console says from now on; whichever comes first. */
export interface Want {
  request?: SerialRequest;
  /** How often the request is sent before it counts as lost. */
  tries?: number;
  /** Typed on the console. */
  type?: string;
  until?: readonly RegExp[];
  /** Milliseconds after which all of it counts as lost; without it the tries decide. */
  withinMs?: number;
}

export type Got =
  | { kind: 'answer'; answer: SerialAnswer }
  /** `index` of the pattern that fits; `text`: the console from the beginning of the wait to the end of the match. */
  | { kind: 'match'; index: number; text: string; groups: readonly (string | undefined)[] }
  | { kind: 'lost' };

/** What the line is like, for those who choose how much to ask at once. */
export interface LineState {
  readonly chunk: number;
  limitChunk(most: number): void;
  /** What came so far that is no frame. */
  readonly console: ConsoleSummary;
}

export interface ConsoleSummary {
  /** Bytes of console text, frames not counted. */
  readonly bytes: number;
  /** Those that are neither text nor an echo: control characters, and bytes above 7F. */
  readonly odd: number;
  /** Such bytes of what was sent that came back. */
  readonly echoed: number;
  /** The last line with something on it, without control characters. */
  readonly lastLine: string;
}

export type Task<T> = Generator<Want | { tell: Progress }, T, Got | undefined>;

/** Waits for `want`. */
export function* wait(want: Want): Task<Got> {
  return (yield want) ?? { kind: 'lost' };
}

/** Tells those who watch; whoever must stop it throws (the audit trail that cannot be written). */
export function* tell(progress: Progress): Task<void> {
  yield { tell: progress };
}
