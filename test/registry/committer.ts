/**
 * A process that commits for as long as it lives and prints each number once transact said it is durable, from argv[3] up. argv[4]: bytes of the log
 * after which it goes to LMDB.
 */
import { LmdbRegistry } from '../../imager/registry/lmdb.ts';

process.stdout.on('error', () => process.exit());
const limit = process.argv[4];
const registry = await LmdbRegistry.open(
  process.argv[2]!,
  limit === undefined ? undefined : { quietMs: 100, bytes: Number(limit) },
);
console.log(`ready ${registry.revision()}`);
// Four at a time, so that commits are shared and the kill can fall between the parts of one.
const commitFrom = async (first: number) => {
  for (let n = first; ; n += 4) {
    await registry.transact((tx) => {
      tx.put(['n', String(n)], { n, filler: new Uint8Array(600).fill(n) });
      tx.put(['double', String(n)], 2 * n);
    });
    process.stdout.write(`${n}\n`);
  }
};
const base = Number(process.argv[3]);
await Promise.all([0, 1, 2, 3].map((lane) => commitFrom(base + lane)));
