/**
 * A process of its own for one target: `program TARGET SEED FROM TO`; prints the Result as JSON. A packet that takes
 * longer than a minute ends the process, and stderr says which it was.
 */
import { writeSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { campaign } from './campaign.ts';
import { TARGETS } from './targets.ts';

const HUNG_MS = 60_000;

if (isMainThread) {
  // Tests that wait for something beside this one come first.
  setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  const [, , name = '', seed, from, to] = process.argv;
  const target = TARGETS[name]!();
  const progress = new Int32Array(new SharedArrayBuffer(4));
  const watch = new Worker(new URL(import.meta.url), { workerData: progress });
  const result = await campaign(target, {
    seed: Number(seed),
    from: Number(from),
    to: Number(to),
    begun: (index) => {
      progress[0] = index;
    },
  });
  await watch.terminate();
  // What is left to run would keep the process: a timer or socket of a codec is a failure.
  process.stdout.write(JSON.stringify(result));
} else {
  const progress = workerData as Int32Array;
  let before = -1;
  setInterval(() => {
    const now = Atomics.load(progress, 0);
    if (now === before) {
      writeSync(2, `packet ${now} takes longer than ${HUNG_MS / 1000} s\n`);
      process.kill(process.pid, 'SIGKILL');
    }
    before = now;
  }, HUNG_MS);
}
