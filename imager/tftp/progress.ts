/** How far a transfer is, and how ACKs move it. Times in milliseconds. Pure. */
import { type RoundTrip, sample } from './round-trip.ts';

export interface Terms {
  /** Blocks in a window; 1 is RFC 1350's lockstep. */
  windowsize: number;
  /** Whether the transfer opens with an OACK, to be acknowledged as block 0. */
  offer: boolean;
  /** Longest time between two retransmissions: the client's timeout option, or DEFAULT_MAX_RETRANSMISSION_MS. */
  maxRetransmissionMs: number;
}

export interface Progress {
  terms: Terms;
  /** Highest block acknowledged. */
  base: number;
  /** Highest block sent at least once. */
  sent: number;
  /** Highest block ready to be sent. */
  available: number;
  /** The block that ends the file, once known. */
  last: number | undefined;
  /** Blocks sent more than once. */
  resent: number;
  /**
   * Repeated ACKs still to come of a window that was sent again: some clients answer each block out of turn (edk2), and
   * taken for complaints those would have windows sent again without end. All of them come before the ACK of a block that
   * first left behind `echoedTo`.
   */
  echoes: number;
  echoedTo: number;
  trip: RoundTrip;
  /** The newest block and when it first left: its ACK gives a round trip (Karn: never one sent twice). */
  timed: { block: number; at: number } | undefined;
  /** When the window was last sent from its beginning. */
  windowAt: number;
  /** Time-outs since the last ACK that moved the window. */
  retries: number;
  /** When the transfer last moved. */
  progressAt: number;
  /** Whether an ACK ever came from the client's address. */
  proven: boolean;
}

/**
 * The window moves to begin after `block`; takes a round trip where that block left once. Gives a new progress, written
 * out: a spread with fields replaced costs more than all else that is done for an ACK.
 */
export function acknowledge(progress: Progress, block: number, now: number, windowAt: number): Progress {
  const { timed } = progress;
  const measured = timed !== undefined && block >= timed.block;
  const { terms, sent, available, last, resent, echoedTo } = progress;
  return {
    terms,
    base: block,
    sent,
    available,
    last,
    resent,
    echoes: block > echoedTo ? 0 : progress.echoes,
    echoedTo,
    trip: measured ? sample(progress.trip, now - timed.at) : progress.trip,
    timed: measured ? undefined : timed,
    windowAt,
    retries: 0,
    progressAt: now,
    proven: true,
  };
}

/**
 * In lockstep, `count` ACKs came in turn and each was answered with the next block, the last one `at`: they give one round
 * trip, their mean.
 */
export function acknowledgeMany(progress: Progress, count: number, at: number): Progress {
  const { timed, trip, base } = progress;
  return {
    ...progress,
    base: base + count,
    sent: base + count + 1,
    trip: timed === undefined ? trip : sample(trip, (at - timed.at) / count),
    timed: undefined,
    windowAt: at,
    retries: 0,
    progressAt: at,
    proven: true,
  };
}

/** The last block that may be sent now. */
export function windowEnd(progress: Progress): number {
  return Math.min(progress.base + progress.terms.windowsize, progress.last ?? Number.POSITIVE_INFINITY);
}
