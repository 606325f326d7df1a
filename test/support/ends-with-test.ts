/** Programs that tests start. */
import type { ChildProcess } from 'node:child_process';
import { onTestFinished } from 'vitest';

/** Has a program end with the test it was started in, at the latest: where that fails, nobody else ends it. */
export function endsWithTest<T extends ChildProcess>(child: T): T {
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}
