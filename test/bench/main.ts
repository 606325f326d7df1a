/** `make bench`: every comparison there is, as one table and as build/bench.json. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { run as agent } from './agent.bench.ts';
import { run as bootPack } from './boot-pack.bench.ts';
import { run as dhcp } from './dhcp.bench.ts';
import { run as nbd } from './nbd.bench.ts';
import type { BenchRow } from './row.ts';
import { run as tftp } from './tftp.bench.ts';
import { run as wholeBoot } from './whole-boot.bench.ts';

const rows: BenchRow[] = [];
mkdirSync('build', { recursive: true });
for (const [name, run] of Object.entries({
  dhcp,
  tftp,
  nbd,
  'boot packs': bootPack,
  'a whole boot': wholeBoot,
  'the agent': agent,
})) {
  console.log(`measuring ${name}`);
  rows.push(...(await run()));
  // As it comes: it took minutes, and what is measured next may fail.
  writeFileSync('build/bench.json', `${JSON.stringify(rows, null, 2)}\n`);
}
console.table(rows);
