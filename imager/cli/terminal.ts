/** Texts on their way to a terminal. Nodes, and what others sent, choose some of them: none may steer it. */

/** Without control characters (C0, DEL and C1); newlines stay. */
export function plain(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n]/gu, '?');
}

/** Fields that are milliseconds since the epoch: the imager's clock has fractions, which nobody is served by. */
const TIMES: readonly string[] = ['at', 'startedAt', 'lastAt', 'lastHello'];

/**
 * JSON of the same value without control characters: what JSON.stringify leaves of them stands inside texts. Times are
 * whole milliseconds.
 */
export function plainJson(value: unknown): string {
  const whole = (name: string, field: unknown) =>
    TIMES.includes(name) && typeof field === 'number' ? Math.round(field) : field;
  return JSON.stringify(value, whole, 2).replaceAll(
    /[\u007f-\u009f]/g,
    (character) => `\\u00${character.charCodeAt(0).toString(16)}`,
  );
}

/** A reader that has seen enough (`| head -1`) is no failure: what is written to it goes nowhere. */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
}
