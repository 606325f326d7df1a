import type { Logger } from 'pino';

/** The clocks servers are given, so that tests can hold them still. */
export interface Clock {
  /** Milliseconds since the epoch with fractions; never goes back within a process. */
  now(): number;
}

/** Wall time at process start plus the monotonic clock since: unaffected by later clock steps. */
export const systemClock: Clock = { now: () => performance.timeOrigin + performance.now() };

/** NTP corrects less without a step. */
const PARTED_MS = 60_000;

/** Gives what says, once, in the log that the time of the machine has parted from `clock`, which leases and events go by. */
export function partingOf(clock: Clock, log: Logger, wall: () => number = Date.now): () => void {
  let told = false;
  return () => {
    const ahead = wall() - clock.now();
    if (told || Math.abs(ahead) <= PARTED_MS) return;
    told = true;
    const seconds = Math.round(Math.abs(ahead) / 1000);
    log.warn(
      `the clock of this machine is ${seconds} s ${ahead > 0 ? 'ahead of' : 'behind'} that of the imager, which goes by the time of its start: leases given since then count by that time, and after its next start by the new one`,
    );
  };
}
