/**
 * The static binary with every fault of memory and undefined behaviour in its C watched: what is collected, and hostile
 * bytes. BOOTWRIGHT_WATCHED_ROUNDS: how many packets, 1000 where it is not set.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { Mutator } from '../../fuzz/mutate.ts';
import { Random } from '../../fuzz/random.ts';
import { TARGETS } from '../../fuzz/targets.ts';
import { staticProgram } from '../../support/static-program.ts';
import { outcome } from './outcome.ts';

const ROUNDS = Number(process.env.BOOTWRIGHT_WATCHED_ROUNDS ?? 1000);
const BUILD_MS = 240_000;
const folder = mkdtempSync(join(tmpdir(), 'bootwright-memory-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const program = (name: string, watched: boolean) =>
  staticProgram({ entry: `test/agent/host/programs/${name}.ts`, watched });

/** As the program reads them. */
function counted(packet: Uint8Array): Buffer {
  const whole = Buffer.alloc(4 + packet.length);
  whole.writeUInt32BE(packet.length);
  whole.set(packet, 4);
  return whole;
}

/** What it printed; rejects with what it said where it ended badly. What it still has at its end is no leak. */
async function run(file: string, args: string[]): Promise<string> {
  const env = { ...process.env, ASAN_OPTIONS: 'detect_leaks=0' };
  const { stdout } = await promisify(execFile)(file, args, { env, maxBuffer: 2 ** 28, timeout: BUILD_MS });
  return stdout;
}

test('what a closure can reach is not collected, what nobody can reach is', {
  timeout: BUILD_MS,
}, async () => {
  const watched = await program('collected', true);
  for (const seed of [1, 2, 3]) expect(await run(watched, [`${seed}`, '3000'])).toMatch(/^kept, /);
  const [, early, late] = /^kept, (\d+) (\d+)$/m.exec(
    await run(await program('collected', false), ['4', '30000']),
  )!;
  expect(Number(late)).toBeLessThan(Number(early) * 1.2);
});

test('hostile frames and journals: no fault in C, and the same outcome as on Node', {
  timeout: BUILD_MS,
}, async () => {
  const { seeds, tokens = [], maxLength } = TARGETS.frame!();
  const journal = {
    deployment: 'd1',
    bootId: 'b',
    phase: 'installed',
    done: ['10-site.sh', 1, -1.5e300, null],
  };
  const mutator = new Mutator({
    seeds: [...seeds, new TextEncoder().encode(`${JSON.stringify(journal)}\n`)],
    tokens: [...tokens, ...['[[[[', '{"a":', '\\ud800', '1e999', '"'].map((text) => Buffer.from(text))],
    maxLength: Math.min(maxLength, 65_536),
  });
  const random = new Random();
  const packets: Uint8Array[] = [];
  for (let n = 0; n < ROUNDS; n++) {
    random.begin(7, n);
    const packet = mutator.make(random).slice();
    // The right length for most: what comes behind it is to be hostile as well.
    if (packet.length > 4 && n % 4 !== 0) new DataView(packet.buffer).setUint32(0, packet.length - 4);
    packets.push(packet);
  }
  packets.push(Buffer.from('['.repeat(3_000_000)));
  const file = join(folder, 'packets');
  writeFileSync(file, Buffer.concat(packets.map(counted)));
  const outcomes = (await run(await program('hostile', true), [file])).split('\n').slice(0, -1);
  expect(outcomes).toEqual(packets.map(outcome));
  // Of each kind some, or nothing was shown.
  for (const kind of [/^no frame/, /^\S+\/(?!Invalid)/, /invalid/i])
    expect(outcomes.filter((each) => kind.test(each)).length, String(kind)).toBeGreaterThan(5);
});
