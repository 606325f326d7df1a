/**
 * When to try again to reach an imager. Pure. "Full jitter": anywhere between now and a ceiling, so that the nodes of a
 * cluster spread out instead of coming back in step. The ceiling is as long as the imager has been away, so it doubles from
 * one attempt to the next as a rule, an outage never lasts more than twice as long for a node, and a restart is hardly noticed.
 */

const FIRST_MS = 100;
/** 10,000 nodes knock 670 times a second on an imager that stays away. */
const LAST_MS = 30_000;
/** However the dice fall, nobody knocks without a pause. */
const LEAST_MS = 10;
/** An imager that refuses a node is there: an operator has to do something, so there is no hurry. */
const REFUSED_MS = 2000;

/** Milliseconds until the next attempt. `awayMs`: since the imager was last heard, or looked for first; `random`: 0 to 1. */
export function retryDelay(awayMs: number, refused: boolean, random: number): number {
  const ceiling = Math.min(LAST_MS, Math.max(refused ? REFUSED_MS : FIRST_MS, awayMs));
  return Math.max(LEAST_MS, random * ceiling);
}

/** Whatever is on a disk stands still without it. 10,000 nodes knock 4000 times a second, of which the imager's kernel refuses most. */
const DISK_LAST_MS = 5000;

/** As retryDelay(), for a disk whose imager is away. */
export function diskRetryDelay(awayMs: number, random: number): number {
  return retryDelay(Math.min(DISK_LAST_MS, awayMs), false, random);
}

const PREFERRED_MS = 60_000;

/** Milliseconds until an imager that is preferred to the present one is tried again: half a minute to one. */
export function preferredDelay(random: number): number {
  return PREFERRED_MS * (0.5 + random / 2);
}

const REPLACED_MS = 600_000;

/** Milliseconds until a node is back whose place another took: five to ten minutes. Both would go on taking it from each other. */
export function replacedDelay(random: number): number {
  return REPLACED_MS * (0.5 + random / 2);
}
