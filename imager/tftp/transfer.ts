/**
 * One read transfer as a pure state machine: RFC 1350 with the windows of RFC 7440 section 4.
 * Blocks are counted from 1 without wrapping; only packets carry 16 bits of them, so that 0 follows 65535. A client that
 * expects 1 there (the unofficial option `rollover`) cannot be told from one that does not, and needs a larger blksize for
 * files of more than 65535 blocks. Times in milliseconds.
 *
 *   offered --ACK 0--> sending --ACK of the last block--> ended
 *      any state --ERROR, too many time-outs, unreadable file--> ended
 */
import { ERROR_CODE } from './codec.ts';
import { acknowledge, acknowledgeMany, type Progress, type Terms, windowEnd } from './progress.ts';
import { FLOOR_MS, NO_ROUND_TRIP, retransmissionTime } from './round-trip.ts';

export const DEFAULT_MAX_RETRANSMISSION_MS = 2000;
/** Time-outs in a row before the client has answered at all: its address may be forged, so little is sent to it. */
export const UNPROVEN_RETRIES = 5;
/** Time-outs in a row while only the last block is not acknowledged: most clients leave once they have sent that ACK. */
export const FINAL_RETRIES = 5;
/**
 * Of so many time-outs in a row the first sends the whole window, the others its first block. Some clients answer nothing
 * but the end of a window (atftp); to one that stands still for a moment, each window is a part of a flood: Debian's
 * U-Boot has 32 receive buffers, and never receives again once they were full.
 */
const WINDOW_EVERY = 4;
/** How long a client that has answered before may be silent, and a store may take for a block. */
export const PATIENCE_MS = 30_000;

export type FailureReason =
  | 'timeout'
  | 'no-final-ack'
  | 'client-error'
  | 'declined'
  | 'starved'
  | 'short-file'
  | 'read-failed'
  | 'superseded'
  | 'shutdown';

export type Outcome = { type: 'done' } | { type: 'failed'; reason: FailureReason; message: string };

export type TransferState =
  /** The OACK is out and not acknowledged. */
  | { phase: 'offered'; progress: Progress }
  /** Blocks go out. */
  | { phase: 'sending'; progress: Progress }
  | { phase: 'ended'; progress: Progress; outcome: Outcome };

export type TransferInput =
  /** An ACK with its 16-bit block number. */
  | { type: 'ack'; block: number }
  /**
   * The socket has answered so many ACKs by itself, each that of the newest block sent, with the next block; the last one
   * `at`. See blocksAfterAck.
   */
  | { type: 'answered'; count: number; at: number }
  /** An ERROR packet of the client. */
  | { type: 'error'; code: number; message: string }
  /** Blocks up to `block` can be sent; `last` is set where the end of the file is among them. */
  | { type: 'available'; block: number; last: number | undefined }
  /** The time asked for by the latest timer effect has come. */
  | { type: 'timer' }
  /** Ended from our side: the store failed, the server stops, a newer request took its place. */
  | { type: 'stop'; reason: FailureReason; message: string };

export type TransferEffect =
  | { type: 'send-oack' }
  | { type: 'send-blocks'; from: number; to: number }
  | { type: 'send-error'; code: number; message: string }
  /** Blocks up to `block` are never needed again. */
  | { type: 'release'; block: number }
  /** Wake up at this time; replaces the time before. */
  | { type: 'timer'; at: number }
  /** A packet without effect, to be counted. */
  | { type: 'ignored'; reason: 'ack.duplicate' | 'ack.old' | 'ack.ahead' | 'after-end' }
  | { type: 'close'; outcome: Outcome };

export interface Step {
  state: TransferState;
  effects: TransferEffect[];
}

/** The first step: the OACK where options were agreed, otherwise the wait for the first block. */
export function begin(terms: Terms, now: number): Step {
  const progress: Progress = {
    terms,
    base: 0,
    sent: 0,
    available: 0,
    last: undefined,
    resent: 0,
    echoes: 0,
    echoedTo: 0,
    trip: NO_ROUND_TRIP,
    timed: undefined,
    windowAt: now,
    retries: 0,
    progressAt: now,
    proven: false,
  };
  if (!terms.offer) return proceed(progress, now, []);
  const state: TransferState = { phase: 'offered', progress: { ...progress, timed: { block: 0, at: now } } };
  return { state, effects: [{ type: 'send-oack' }, timer(progress, now)] };
}

/** What follows from `input` at `now`. */
export function next(state: TransferState, input: TransferInput, now: number): Step {
  if (state.phase === 'ended')
    return input.type === 'ack' ? ignore(state, 'after-end') : { state, effects: [] };
  const progress = state.progress;
  switch (input.type) {
    case 'ack':
      return state.phase === 'offered'
        ? onOfferAck(state, input.block, now)
        : onAck(state, progress, input.block, now);
    case 'answered':
      return onAnswered(progress, input.count, input.at);
    case 'available': {
      const ready: Progress = { ...progress, available: input.block, last: input.last };
      return state.phase === 'offered'
        ? { state: { phase: 'offered', progress: ready }, effects: [] }
        : proceed(ready, now, []);
    }
    case 'timer':
      return state.phase === 'offered' ? onOfferTimer(progress, now) : onTimer(progress, now);
    case 'error':
      // Firmware asks for tsize alone and then declines: that is how RFC 2347 clients leave a negotiation.
      return end(progress, {
        type: 'failed',
        reason: state.phase === 'offered' ? 'declined' : 'client-error',
        message: `client sent error ${input.code}: ${input.message}`,
      });
    case 'stop':
      // The newer request may come from the same port: who waits for a first packet takes an ERROR from any port for its
      // answer (U-Boot, PXE ROMs), and nobody else is there to read it.
      return input.reason === 'superseded'
        ? end(progress, { type: 'failed', reason: input.reason, message: input.message })
        : fail(progress, input.reason, input.message);
  }
}

/**
 * The blocks that `next` sends first should its next inputs be the ACK of the newest block sent (0 where that is the OACK)
 * and, in lockstep, those of these blocks: known before the ACKs come, and until then so long as no other input changes
 * it. Undefined where it would send none.
 */
export function blocksAfterAck(state: TransferState): { from: number; to: number } | undefined {
  const { sent, available, terms, trip } = state.progress;
  if (state.phase === 'ended' || sent >= available) return undefined;
  // Not before a round trip is known: until then a lost block is waited for much longer.
  const lockstep = state.phase === 'sending' && terms.windowsize === 1 && trip.smoothed !== undefined;
  return { from: sent + 1, to: lockstep ? available : sent + 1 };
}

function onOfferAck(state: TransferState, block: number, now: number): Step {
  if (block !== 0) return ignore(state, 'ack.ahead');
  return proceed(acknowledge(state.progress, 0, now, state.progress.windowAt), now, []);
}

/** RFC 7440 section 4: an ACK names the last block received in sequence, and the next window begins after it. */
function onAck(state: TransferState, progress: Progress, block: number, now: number): Step {
  const advance = (block - progress.base) & 0xffff;
  const outstanding = progress.sent - progress.base;
  if (advance > outstanding) return ignore(state, advance > 0x7fff ? 'ack.old' : 'ack.ahead');
  // An ACK that answers the present window takes a round trip; sooner ones were on their way when it left. Without
  // this each of the many ACKs that some clients send after one gap would send a whole window again.
  const answersWindow = now - progress.windowAt >= (progress.trip.smoothed ?? FLOOR_MS) / 2;
  if (advance === 0) {
    // In lockstep a repeated ACK must never send data (Sorcerer's Apprentice, RFC 1123 section 4.2.3.1). In a window
    // it is how a client says that the first block is missing, which it can only know having seen the second.
    if (progress.echoes > 0) {
      const heard: Progress = { ...progress, echoes: progress.echoes - 1 };
      return ignore({ phase: 'sending', progress: heard }, 'ack.duplicate');
    }
    const complaint = progress.terms.windowsize > 1 && outstanding > 1 && answersWindow;
    return complaint ? resend(progress, now, []) : ignore(state, 'ack.duplicate');
  }
  // The first block of a window that was sent again may be one it had: what it lacks is on its way then.
  const echo = progress.echoes > 0 && advance === 1;
  const again = advance < outstanding && answersWindow && !echo;
  const acked = acknowledge(progress, progress.base + advance, now, again ? progress.windowAt : now);
  const effects: TransferEffect[] = [{ type: 'release', block: acked.base }];
  if (acked.base === acked.last) return end(acked, { type: 'done' }, effects);
  return again ? resend(acked, now, effects) : proceed(acked, now, effects);
}

/** So many blocks left in answer to the ACKs of those before them. */
function onAnswered(progress: Progress, count: number, at: number): Step {
  const after = acknowledgeMany(progress, count, at);
  return step(after, [{ type: 'release', block: after.base }], timer(after, at));
}

/** Sends what the window still allows and the store has. `progress` is the caller's own new one and changed in place. */
function proceed(progress: Progress, now: number, effects: TransferEffect[]): Step {
  const to = Math.min(windowEnd(progress), progress.available);
  if (to <= progress.sent) return step(progress, effects, timer(progress, now));
  const from = progress.sent + 1;
  if (from === progress.base + 1) progress.windowAt = now;
  progress.sent = to;
  progress.timed = { block: to, at: now };
  return step(progress, effects, { type: 'send-blocks', from, to }, timer(progress, now));
}

/** Sends the window again from its beginning. */
function resend(progress: Progress, now: number, effects: TransferEffect[]): Step {
  const from = progress.base + 1;
  const to = Math.min(windowEnd(progress), progress.available);
  const again = Math.max(0, Math.min(progress.sent, to) - progress.base);
  const after: Progress = {
    ...progress,
    sent: Math.max(progress.sent, to),
    resent: progress.resent + again,
    echoes: progress.echoes + again,
    echoedTo: progress.sent,
    timed: to > progress.sent ? { block: to, at: now } : undefined,
    windowAt: now,
  };
  return step(after, effects, { type: 'send-blocks', from, to }, timer(after, now));
}

function onOfferTimer(progress: Progress, now: number): Step {
  if (progress.retries >= UNPROVEN_RETRIES) return silence(progress, now);
  const after: Progress = { ...progress, retries: progress.retries + 1, timed: undefined };
  return {
    state: { phase: 'offered', progress: after },
    effects: [{ type: 'send-oack' }, timer(after, now)],
  };
}

function onTimer(progress: Progress, now: number): Step {
  const waited = now - progress.progressAt;
  if (progress.sent < windowEnd(progress)) {
    // The client waits for us, not we for it: sending the beginning of its window again would tell it nothing.
    if (waited < PATIENCE_MS) return step(progress, [], timer(progress, now));
    return fail(progress, 'starved', `block ${progress.sent + 1} was not read within ${PATIENCE_MS} ms`);
  }
  if (!progress.proven && progress.retries >= UNPROVEN_RETRIES) return silence(progress, now);
  if (progress.base + 1 === progress.last && progress.retries >= FINAL_RETRIES)
    return end(progress, {
      type: 'failed',
      reason: 'no-final-ack',
      message: `all ${progress.last} blocks were sent, the last one not acknowledged`,
    });
  if (waited >= PATIENCE_MS) return silence(progress, now);
  const again: Progress = { ...progress, retries: progress.retries + 1, echoes: 0 };
  return progress.retries % WINDOW_EVERY === 0 ? resend(again, now, []) : probe(again, now);
}

/**
 * Sends the first missing block alone: enough for a client that answers what it has already with the ACK that tells
 * where to go on (RFC 7440 section 4).
 */
function probe(progress: Progress, now: number): Step {
  const block = progress.base + 1;
  const after: Progress = {
    ...progress,
    resent: progress.resent + 1,
    echoes: 0,
    timed: undefined,
    windowAt: now,
  };
  return step(after, [], { type: 'send-blocks', from: block, to: block }, timer(after, now));
}

/** Ends the words of a transfer whose client was never heard after its request: `pxe explain` looks for them. */
export const UNHEARD = 'not even to the first packet';

function silence(progress: Progress, now: number): Step {
  const waited = Math.round(now - progress.progressAt);
  const place = progress.proven ? ` after block ${progress.base}` : `, ${UNHEARD}`;
  return fail(progress, 'timeout', `no answer from the client for ${waited} ms${place}`);
}

function fail(progress: Progress, reason: FailureReason, message: string): Step {
  const error: TransferEffect = { type: 'send-error', code: ERROR_CODE.undefined, message };
  return end(progress, { type: 'failed', reason, message }, [error]);
}

function end(progress: Progress, outcome: Outcome, effects: TransferEffect[] = []): Step {
  return { state: { phase: 'ended', progress, outcome }, effects: [...effects, { type: 'close', outcome }] };
}

function ignore(state: TransferState, reason: Extract<TransferEffect, { type: 'ignored' }>['reason']): Step {
  return { state, effects: [{ type: 'ignored', reason }] };
}

/** The transfer goes on; what follows is put behind the `effects` there are. */
function step(progress: Progress, effects: TransferEffect[], ...more: TransferEffect[]): Step {
  effects.push(...more);
  return { state: { phase: 'sending', progress }, effects };
}

function timer(progress: Progress, now: number): TransferEffect {
  const { trip, retries, terms } = progress;
  return { type: 'timer', at: now + retransmissionTime(trip, retries, terms.maxRetransmissionMs) };
}
