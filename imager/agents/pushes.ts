/** Requests the imager sends to agents and the answers it waits for. */
import type { Identified } from '../../agent/protocol/membership.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';

/** What an agent answered: the pointer it wrote and the one before, who it is, or plainly that it did what was asked. */
export interface PushAnswer {
  pointer?: BootPointer;
  /** Left out by agents that do not tell it. */
  former?: BootPointer | null;
  identified?: Pick<Identified, 'uid' | 'local'>;
}

/** An agent's own words for what it did not do. */
export interface Refusal {
  why: string;
  untouched?: boolean | undefined;
}

/** How long an agent may take to answer. */
export const PUSH_MS = 10_000;

/** A push that brought no confirmation; `message` says what is known. */
export class PushError extends Error {
  readonly reason: 'conflict' | 'not-connected' | 'refused' | 'disconnected' | 'deadline' | 'mismatch';
  /** The node is as it was before it was asked. */
  readonly untouched: boolean;
  constructor(reason: PushError['reason'], message: string, untouched = false) {
    super(message);
    this.name = 'PushError';
    this.reason = reason;
    this.untouched = untouched;
  }
}

export function notConnected(node: string): PushError {
  return new PushError('not-connected', `no agent of ${node} is connected`, true);
}

/** How long an answer may take that is not like others, which may take `usualMs`. */
export type Deadline = (usualMs: number) => number;

/** Does `work` in so many milliseconds. Gives what takes that back. */
export type After = (milliseconds: number, work: () => void) => () => void;

interface Pending {
  owner: object;
  resolve: (answer: PushAnswer) => void;
  reject: (error: PushError) => void;
  /** Ends the wait for its deadline. */
  inTime: () => void;
}

export class Pushes {
  readonly #pending = new Map<number, Pending>();
  readonly #deadlineMs: number;
  readonly #after: After;
  #last = 0;

  constructor(deadlineMs: number, after: After = inRealTime) {
    this.#deadlineMs = deadlineMs;
    this.#after = after;
  }

  /**
   * A new request number for `send`, and the answer to it. `owner` is the connection it goes over; `what` names the
   * request in errors. Rejects with PushError.
   */
  request(
    owner: object,
    what: string,
    send: (request: number) => void,
    deadline: Deadline = (usualMs) => usualMs,
  ): Promise<PushAnswer> {
    const request = ++this.#last;
    const deadlineMs = deadline(this.#deadlineMs);
    const answer = new Promise<PushAnswer>((resolve, reject) => {
      const inTime = this.#after(deadlineMs, () => {
        this.#pending.delete(request);
        reject(new PushError('deadline', `${what}: no answer within ${deadlineMs / 1000} s`));
      });
      this.#pending.set(request, { owner, resolve, reject, inTime });
    });
    send(request);
    return answer;
  }

  /** Hands over what the agent answered to `request`; false where `owner` was not asked that. */
  settle(owner: object, request: number, answer: PushAnswer | Refusal): boolean {
    const pending = this.#take(owner, request);
    if ('why' in answer) pending?.reject(new PushError('refused', answer.why, answer.untouched));
    else pending?.resolve(answer);
    return pending !== undefined;
  }

  /** Rejects all that wait for `owner`. */
  abandon(owner: object, why: string): void {
    for (const [request, pending] of this.#pending)
      if (pending.owner === owner) this.#take(owner, request)?.reject(new PushError('disconnected', why));
  }

  #take(owner: object, request: number): Pending | undefined {
    const pending = this.#pending.get(request);
    if (pending?.owner !== owner) return undefined;
    this.#pending.delete(request);
    pending.inTime();
    return pending;
  }
}

function inRealTime(milliseconds: number, work: () => void): () => void {
  const timer = setTimeout(work, milliseconds);
  return () => clearTimeout(timer);
}
