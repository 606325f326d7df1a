/**
 * A task (task.ts) and a line: bytes and times come in, bytes go out through `send`. Pure; `wakeAt` says when `tick` wants to
 * be called (milliseconds).
 */
import { fromLatin1 } from '../../agent/protocol/latin1.ts';
import { SerialCaller } from '../../agent/protocol/serial/caller.ts';
import { SerialFrameReader } from '../../agent/protocol/serial/frame.ts';
import { ConsoleText } from './console-text.ts';
import type { SerialFailure } from './failure.ts';
import type { Progress } from './progress.ts';
import type { Got, LineState, Task, Want } from './task.ts';

/** More console text than this in one wait is cut at its beginning. */
const LONGEST_TEXT = 64 * 1024;

export interface SessionOptions<T> {
  task: (line: LineState) => Task<T>;
  baud: number;
  /** Of newSession (agent/protocol/serial/caller.ts). */
  session: number;
  send(bytes: Uint8Array): void;
  tell(progress: Progress): void;
}

export type Outcome<T> = { kind: 'done'; value: T } | { kind: 'failed'; error: unknown };

export class SerialSession<T> {
  /** What came of it; undefined while it goes on. */
  outcome: Outcome<T> | undefined;
  readonly #options: SessionOptions<T>;
  readonly #reader = new SerialFrameReader();
  readonly #caller: SerialCaller;
  readonly #console = new ConsoleText();
  readonly #task: Task<T>;
  #want: Want | undefined;
  #deadline = Number.POSITIVE_INFINITY;
  /** Console text that no wait has consumed. */
  #text = '';

  constructor(options: SessionOptions<T>) {
    this.#options = options;
    this.#caller = new SerialCaller({ ...options, send: (bytes) => this.#send(bytes) });
    const caller = this.#caller;
    this.#task = options.task({
      get chunk() {
        return caller.chunk;
      },
      limitChunk: (most) => caller.limitChunk(most),
      console: this.#console,
    });
  }

  /** When `tick` wants to be called. Infinity: never. */
  get wakeAt(): number {
    return Math.min(this.#deadline, this.#caller.wakeAt);
  }

  start(now: number): void {
    this.#advance(now, () => this.#task.next(undefined));
  }

  receive(bytes: Uint8Array, now: number): void {
    for (const item of this.#reader.push(bytes)) {
      if (this.outcome !== undefined) return;
      if (item.kind === 'frame') {
        const answer = this.#caller.take(item.frame);
        if (answer !== undefined) this.#give({ kind: 'answer', answer }, now);
      } else {
        this.#console.push(item.bytes);
        this.#text = (this.#text + fromLatin1(item.bytes)).slice(-LONGEST_TEXT);
        this.#match(now);
      }
    }
  }

  tick(now: number): void {
    if (this.outcome !== undefined) return;
    const lost = this.#caller.tick(now) === 'lost';
    if (now >= this.#deadline || (lost && this.#want?.withinMs === undefined))
      this.#give({ kind: 'lost' }, now);
  }

  /** The line is gone: the task ends with this. */
  fail(failure: SerialFailure, now: number): void {
    if (this.outcome === undefined) this.#advance(now, () => this.#task.throw(failure));
  }

  #match(now: number): void {
    for (const [index, pattern] of (this.#want?.until ?? []).entries()) {
      const match = pattern.exec(this.#text);
      if (match === null) continue;
      const end = match.index + match[0].length;
      const text = this.#text.slice(0, end);
      this.#text = this.#text.slice(end);
      this.#give({ kind: 'match', index, text, groups: match.slice(1) }, now);
      return;
    }
  }

  #give(got: Got, now: number): void {
    this.#advance(now, () => this.#task.next(got));
  }

  /** Runs the task up to what it waits for next. */
  #advance(now: number, step: () => ReturnType<Task<T>['next']>): void {
    this.#want = undefined;
    this.#deadline = Number.POSITIVE_INFINITY;
    this.#caller.cancel();
    let next = step;
    for (;;) {
      let result: ReturnType<Task<T>['next']>;
      try {
        result = next();
      } catch (error) {
        this.outcome = { kind: 'failed', error };
        return;
      }
      if (result.done) {
        this.outcome = { kind: 'done', value: result.value };
        return;
      }
      const yielded = result.value;
      if ('tell' in yielded) next = this.#told(yielded.tell);
      else {
        this.#open(yielded, now);
        return;
      }
    }
  }

  #told(progress: Progress): () => ReturnType<Task<T>['next']> {
    try {
      this.#options.tell(progress);
    } catch (error) {
      return () => this.#task.throw(error);
    }
    return () => this.#task.next(undefined);
  }

  #send(bytes: Uint8Array): void {
    this.#console.sent(bytes);
    this.#options.send(bytes);
  }

  #open(want: Want, now: number): void {
    this.#want = want;
    if (want.withinMs !== undefined) this.#deadline = now + want.withinMs;
    if (want.request !== undefined) this.#caller.ask(want.request, now, want.tries ?? 1);
    if (want.type !== undefined) this.#send(new TextEncoder().encode(want.type));
    this.#match(now);
  }
}
