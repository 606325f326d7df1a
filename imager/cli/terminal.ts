/** What the verbs print, beside plain text (agent/protocol/plain.ts). */
import { plainJson as withoutControls } from '../../agent/protocol/plain.ts';

/** Fields that are milliseconds since the epoch: the imager's clock has fractions, which nobody is served by. */
const TIMES: readonly string[] = ['at', 'startedAt', 'lastAt', 'lastHello'];

/** JSON of the same value without control characters. Times are whole milliseconds. */
export function plainJson(value: unknown): string {
  const whole = (name: string, field: unknown) =>
    TIMES.includes(name) && typeof field === 'number' ? Math.round(field) : field;
  return withoutControls(JSON.stringify(value, whole, 2));
}

/** A reader that has seen enough (`| head -1`) is no failure: what is written to it goes nowhere. */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
}
