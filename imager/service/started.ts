/** The parts of the running imager: started one after another, closed in reverse. */
import type { Logger } from 'pino';

/** Starts a part, and notes how it is closed. */
export type Started = <T>(
  what: string,
  start: () => Promise<T> | T,
  end: (part: T) => Promise<void> | void,
) => Promise<T>;

/** `close` closes all that was started until then; what fails in it is logged, and keeps nothing else open. */
export function startedParts(log: Logger): { started: Started; close: () => Promise<void> } {
  const closers: { what: string; close: () => Promise<void> | void }[] = [];
  return {
    started: async (what, start, end) => {
      const part = await start();
      closers.push({ what, close: () => end(part) });
      return part;
    },
    close: async () => {
      for (const { what, close: end } of closers.splice(0).reverse()) {
        try {
          await end();
        } catch (error) {
          log.error({ err: error }, `closing ${what} failed`);
        }
      }
    },
  };
}
