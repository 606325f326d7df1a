/** Runs a task on an open line, with the clock and the timers of this process. */
import { newSession } from '../../agent/protocol/serial/caller.ts';
import { SerialFailure } from './failure.ts';
import type { Line } from './port.ts';
import type { Progress } from './progress.ts';
import { SerialSession } from './session.ts';
import type { LineState, Task } from './task.ts';

export interface RunOptions<T> {
  task: (line: LineState) => Task<T>;
  baud: number;
  tell(progress: Progress): void;
}

/** Resolves with what the task gives, rejects with what it throws: SerialFailure `pulled` where the line goes. */
export function runOnLine<T>(line: Line, { task, baud, tell }: RunOptions<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const session = new SerialSession<T>({
      task,
      baud,
      session: newSession(Math.random),
      send: (bytes) => line.write(bytes),
      tell,
    });
    const step = (work: (now: number) => void) => {
      work(performance.now());
      clearTimeout(timer);
      const { outcome } = session;
      if (outcome?.kind === 'done') resolve(outcome.value);
      else if (outcome?.kind === 'failed') reject(outcome.error);
      else if (Number.isFinite(session.wakeAt)) {
        const wait = Math.max(0, Math.ceil(session.wakeAt - performance.now()));
        timer = setTimeout(() => step((now) => session.tick(now)), wait);
      }
    };
    line.onData((bytes) => step((now) => session.receive(bytes, now)));
    line.onGone((why) =>
      step((now) =>
        session.fail(new SerialFailure('pulled', `the port is gone: was the cable pulled? (${why})`), now),
      ),
    );
    if (session.outcome === undefined) step((now) => session.start(now));
  });
}
