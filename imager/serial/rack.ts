/** The same work on many ports at once, each with its own end. */
import { SerialFailure } from './failure.ts';
import { openPort } from './port.ts';
import type { Progress } from './progress.ts';
import { runOnLine } from './run.ts';
import type { LineState, Task } from './task.ts';

export type PortResult<T> =
  | { port: string; ok: true; value: T }
  | { port: string; ok: false; failure: SerialFailure };

export interface RackOptions<T> {
  ports: readonly string[];
  baud: number;
  task: (port: string, line: LineState) => Task<T>;
  tell(port: string, progress: Progress): void;
  ended(result: PortResult<T>): void;
}

/** Resolves with one result a port, in the order of the ports. Rejects for what is no SerialFailure. */
export function onPorts<T>(options: RackOptions<T>): Promise<PortResult<T>[]> {
  return Promise.all(
    options.ports.map(async (port) => {
      const result = await onPort(port, options);
      options.ended(result);
      return result;
    }),
  );
}

async function onPort<T>(port: string, { baud, task, tell }: RackOptions<T>): Promise<PortResult<T>> {
  try {
    const line = await openPort(port, baud);
    try {
      const work = (state: LineState) => task(port, state);
      const value = await runOnLine(line, { task: work, baud, tell: (progress) => tell(port, progress) });
      return { port, ok: true, value };
    } finally {
      await line.close();
    }
  } catch (error) {
    if (error instanceof SerialFailure) return { port, ok: false, failure: error };
    throw error;
  }
}
