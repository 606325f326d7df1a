/**
 * Runs targets in processes of their own and holds the results against what every codec promises.
 *
 * BOOTWRIGHT_FUZZ_COUNT: packets for each target, 20,000 where it is not set, and other ones in each run; `make proofs` takes a
 * million. BOOTWRIGHT_FUZZ_SEED: the run to do again, as a failed one prints it. BOOTWRIGHT_FUZZ_ONLY: one packet of that run.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { bundle } from '../support/inside.ts';
import type { Result } from './campaign.ts';

const { env } = process;
const SEED = Number(env.BOOTWRIGHT_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
const ONLY = env.BOOTWRIGHT_FUZZ_ONLY;
const COUNT = Number(env.BOOTWRIGHT_FUZZ_COUNT ?? 20_000);
/** The smallest object kept for each message is more than this; what the heap does by itself is a fifth of it. */
const GROWTH = 1024 * 1024;
/** Far more than any packet should take, far less than one that costs the square of its length. */
const LONGEST_MS = 500;
/** However busy the machine is. */
const DEADLINE_MS = 900_000;

/** One test for each name, one after another. `messages`: how many there are in one packet. */
export function fuzz(names: readonly string[], messages = 1): void {
  let program: string;
  beforeAll(async () => {
    program = await bundle('test/fuzz/program.ts');
  });
  test.each(names)('%s', { timeout: DEADLINE_MS }, async (name) => {
    const result = await run(program, name, Math.ceil(COUNT / messages));
    const { packets, accepted, slowest, heap, seed } = result;
    const share = Math.round((100 * accepted) / packets);
    console.log(
      `${name}: ${packets} packets of seed ${seed}, ${share} % taken; slowest: packet ${slowest.index}, ` +
        `${slowest.bytes} bytes, ${slowest.ms.toFixed(2)} ms, ${slowest.hex.slice(0, 64)}; ` +
        `heap ${heap.map((bytes) => `${(bytes / 2 ** 20).toFixed(1)} MB`).join(', ')}`,
    );
    expect(result.failures, `BOOTWRIGHT_FUZZ_SEED=${seed} BOOTWRIGHT_FUZZ_ONLY=INDEX does it again`).toEqual(
      [],
    );
    expect(slowest.ms, slowest.hex).toBeLessThan(LONGEST_MS);
    if (ONLY !== undefined) return;
    // A target whose packets are all taken, or all refused, fuzzes nothing.
    expect(share).toBeGreaterThan(0);
    expect(share).toBeLessThan(100);
    expect(heap.at(-1)! - heap[0]!, `heap ${heap.join(', ')}`).toBeLessThan(GROWTH);
  });
}

/** Rejects where the process ends by itself: a crash, an exit, or a packet that takes for ever. */
async function run(program: string, name: string, count: number): Promise<Result> {
  const [from, to] = ONLY === undefined ? [0, count] : [Number(ONLY), Number(ONLY) + 1];
  const args = ['--expose-gc', '--enable-source-maps', program, name, ...[SEED, from, to].map(String)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 28 }).catch(
    (error: Error & { stderr?: string; signal?: string; code?: number }) => {
      const { signal, code, stderr } = error;
      throw new Error(`${name}, seed ${SEED}: ended with ${signal ?? code}\n${stderr}`);
    },
  );
  return JSON.parse(stdout) as Result;
}
