/** Waiting for something that a rig will show, never longer than said, and never failing without the logs. */

export interface Watch<T> {
  /** What is waited for, in words: the beginning of the error. */
  what: string;
  withinMs: number;
  /** The value, where it is already there. */
  look(): T | undefined;
  /** Calls back after each change; gives the function that ends it. */
  onChange(listener: () => void): () => void;
  /** Why it can never come any more. */
  hopeless(): string | undefined;
  /** Logs for the error's text. */
  logs(): string;
}

/** It did not come. The message carries the end of every log there is. */
export class DeadlineError extends Error {}

/** Resolves with the value as soon as `look` gives one. Rejects with DeadlineError after `withinMs`, or where it is hopeless. */
export function waitFor<T>(watch: Watch<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (): boolean => {
      const value = watch.look();
      if (value !== undefined) {
        resolve(value);
        return true;
      }
      const why = watch.hopeless();
      if (why === undefined) return false;
      reject(new DeadlineError(`${watch.what}: ${why}\n${watch.logs()}`));
      return true;
    };
    if (settle()) return;
    const stop = watch.onChange(() => {
      if (!settle()) return;
      clearTimeout(timer);
      stop();
    });
    const timer = setTimeout(() => {
      stop();
      reject(new DeadlineError(`${watch.what}: not within ${watch.withinMs} ms\n${watch.logs()}`));
    }, watch.withinMs);
  });
}

/** The last `count` lines of `text` under a title. */
export function tail(title: string, text: string, count = 30): string {
  const lines = text.trimEnd().split('\n');
  const left = lines.length > count ? ` (last ${count} of ${lines.length} lines)` : '';
  return `--- ${title}${left}\n${lines.slice(-count).join('\n')}`;
}
