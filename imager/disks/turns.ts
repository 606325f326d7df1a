/** Work that may take long, in steps: done at once, or with turns of the event loop for others in between. */

/** Each `yield` is a place where others may have their turn: after a few milliseconds at most. */
export type Steps<T> = Generator<undefined, T>;

/** Longest time without a turn for others. */
const TURN_MS = 4;

/** Does the work with nobody else having a turn. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Does the work with turns for others. */
export async function inTurns<T>(steps: Steps<T>): Promise<T> {
  for (let start = performance.now(); ; ) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() - start < TURN_MS) continue;
    await new Promise((resolve) => setImmediate(resolve));
    start = performance.now();
  }
}
