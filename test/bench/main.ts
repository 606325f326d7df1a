/** `make bench`: every comparison there is, as one table and as build/bench.json. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { run as agent } from './agent.bench.ts';
import { run as bootPack } from './boot-pack.bench.ts';
import { run as dhcp } from './dhcp.bench.ts';
import { run as nbd } from './nbd.bench.ts';
import type { BenchRow } from './row.ts';
import { run as tftp } from './tftp.bench.ts';
import { run as wholeBoot } from './whole-boot.bench.ts';

const PARTS: Record<string, () => Promise<BenchRow[]>> = {
  dhcp,
  tftp,
  nbd,
  packs: bootPack,
  boot: wholeBoot,
  agent,
};

const parts = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PARTS);
const unknown = parts.filter((part) => !Object.hasOwn(PARTS, part));
if (unknown.length > 0) {
  console.error(`no such part: ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`);
  process.exit(2);
}
const rows: BenchRow[] = [];
mkdirSync('build', { recursive: true });
for (const part of parts) {
  console.log(`measuring ${part}`);
  try {
    rows.push(...(await PARTS[part]!()));
  } catch (error) {
    console.error(`${part} could not be measured:`, error);
    process.exitCode = 1;
  }
  // After each part: what was measured is not lost with a later one.
  writeFileSync('build/bench.json', `${JSON.stringify(rows, null, 2)}\n`);
}
console.table(rows);
// A part that failed may have left something open.
process.exit();
