/**
 * Commits to the registry in argv[2] on a small disk until there is no room, makes room by removing the file argv[3], and
 * commits again. Prints as JSON what came of it.
 */
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LmdbRegistry } from '../../imager/registry/lmdb.ts';

const [, , dir, filler] = process.argv as [string, string, string, string];
const quiet = { quietMs: 20, bytes: 2 ** 30 };
const registry = await LmdbRegistry.open(dir, quiet);
const acknowledged: string[] = [];
const codes = new Set<string>();
const commit = async (n: number) => {
  const key = String(n).padStart(5, '0');
  await registry
    .transact((tx) => tx.put(['n', key], 'x'.repeat(300)))
    .then(
      () => acknowledged.push(key),
      (error: NodeJS.ErrnoException) => codes.add(error.code ?? error.message),
    );
};
const stored = (from: LmdbRegistry) => from.range(['n']).map(({ key }) => key[1]);

for (let n = 0; codes.size === 0; n++) {
  await commit(n);
  // Now and then it is quiet, so that LMDB as well comes to the end of the disk.
  if (n % 200 === 199) await sleep(100);
}
const full = { acknowledged: acknowledged.length, same: String(stored(registry)) === String(acknowledged) };
rmSync(filler);
for (let n = 90_000; n < 90_020; n++) await commit(n);
const log = join(dir, 'registry.log');
for (const end = Date.now() + 30_000; statSync(log).size > 8 && Date.now() < end; ) await sleep(20);
const roomy = { log: statSync(log).size, same: String(stored(registry)) === String(acknowledged) };
await registry.close();
const again = await LmdbRegistry.open(dir, quiet);
const reopened = String(stored(again)) === String(acknowledged) && again.revision() === acknowledged.length;
await again.close();
console.log(JSON.stringify({ codes: [...codes], full, roomy, reopened }));
