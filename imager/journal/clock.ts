/** The clocks servers are given, so that tests can hold them still. */
export interface Clock {
  /** Milliseconds since the epoch with fractions; never goes back within a process. */
  now(): number;
}

/** Wall time at process start plus the monotonic clock since: unaffected by later clock steps. */
export const systemClock: Clock = { now: () => performance.timeOrigin + performance.now() };
