/**
 * Commits to the registry in argv[2] while argv[3] file descriptors are left, until it was quiet for long enough for a new log, and
 * once more when there are plenty. Prints as JSON what was rejected, and what is there when it is opened again.
 */
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { LmdbRegistry } from '../../imager/registry/lmdb.ts';

const [, , dir, left] = process.argv as [string, string, string, string];
const quiet = { quietMs: 20, bytes: 2 ** 30 };
const registry = await LmdbRegistry.open(dir, quiet);
const rejected: string[] = [];
const commit = (n: number) =>
  registry
    .transact((tx) => tx.put(['a'], n))
    .catch((error: Error) => {
      rejected.push(`${n}: ${error.message}`);
    });
// Whatever Node opens when something is first asked for is open now.
await commit(1);
await sleep(300);
const taken: number[] = [];
try {
  for (;;) taken.push(openSync('/dev/null', 'r'));
} catch {
  for (const fd of taken.splice(0, Number(left))) closeSync(fd);
}
await commit(2);
await sleep(300);
for (const fd of taken) closeSync(fd);
await commit(3);
await sleep(300);
await registry.close();
const again = await LmdbRegistry.open(dir, quiet);
console.log(JSON.stringify({ rejected, value: again.get(['a']), revision: again.revision() }));
await again.close();
