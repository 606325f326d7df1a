/** One target and its packets: what broke it, what took longest, and whether memory grows. */
import { Mutator } from './mutate.ts';
import { Random } from './random.ts';
import type { Target } from './target.ts';

export interface Failure {
  /** Of the packet; -1 where a rejection came later. */
  index: number;
  hex: string;
  error: string;
}

export interface Result {
  seed: number;
  packets: number;
  /** Packets the codec took for good ones. */
  accepted: number;
  /** One for each place in the code; the first packet that came there. */
  failures: Failure[];
  /** The packet that takes longest, milliseconds: the best of several times, so that a busy machine is not blamed. */
  slowest: { index: number; bytes: number; ms: number; hex: string };
  /** Bytes in use after garbage collection, at the quarters. */
  heap: number[];
}

const SLOW_KEPT = 8;
const FAILURES_KEPT = 20;
const REPEATS = 7;

/** Feeds `target` the packets `from` up to `to` of the run `seed`. `begun` hears of each before it is taken. */
export async function campaign(
  target: Target,
  options: { seed: number; from: number; to: number; begun: (index: number) => void },
): Promise<Result> {
  const { seed, from, to, begun } = options;
  const random = new Random();
  const mutator = new Mutator(target);
  const make = (index: number): Uint8Array => {
    random.begin(seed, index);
    return mutator.make(random);
  };
  const failures = new Map<string, Failure>();
  const slow: { index: number; ms: number }[] = [];
  const heap: number[] = [];
  let accepted = 0;
  let threshold = 0;

  const note = (index: number, error: unknown): void => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const place = text
      .replaceAll(/\d{2,}/g, 'N')
      .split('\n')
      .slice(0, 3)
      .join();
    if (failures.size < FAILURES_KEPT && !failures.has(place))
      failures.set(place, { index, hex: index < 0 ? '' : hexOf(make(index)), error: text });
  };
  process.on('unhandledRejection', (error) => note(-1, error));

  // The first stack that is written out loads this program's source map: megabytes that are no target's.
  void new Error().stack;
  const quarter = Math.max(1, Math.ceil((to - from) / 4));
  for (let index = from; index < to; index++) {
    const bytes = make(index);
    begun(index);
    const start = performance.now();
    try {
      const taken = target.take(bytes);
      if (typeof taken === 'boolean' ? taken : await taken) accepted++;
    } catch (error) {
      note(index, error);
    }
    if (performance.now() - start > threshold) {
      slow.push({ index, ms: await shortest(target, () => make(index), 2) });
      slow.sort((a, b) => b.ms - a.ms);
      slow.length = Math.min(slow.length, SLOW_KEPT);
      if (slow.length === SLOW_KEPT) threshold = slow.at(-1)!.ms;
    }
    if ((index - from + 1) % quarter === 0) heap.push(inUse());
  }
  await new Promise((done) => setImmediate(done));
  return {
    seed,
    packets: to - from,
    accepted,
    failures: [...failures.values()],
    slowest: await slowest(target, slow, make),
    heap,
  };
}

async function slowest(
  target: Target,
  slow: readonly { index: number }[],
  make: (index: number) => Uint8Array,
): Promise<Result['slowest']> {
  let worst: Result['slowest'] = { index: -1, bytes: 0, ms: 0, hex: '' };
  for (const { index } of slow) {
    const ms = await shortest(target, () => make(index), REPEATS);
    const bytes = make(index);
    if (ms > worst.ms) worst = { index, bytes: bytes.length, ms, hex: hexOf(bytes) };
  }
  return worst;
}

/** Milliseconds of the quickest of `times`: what the machine does besides makes them longer, never shorter. */
async function shortest(target: Target, make: () => Uint8Array, times: number): Promise<number> {
  let ms = Number.POSITIVE_INFINITY;
  for (let time = 0; time < times; time++) {
    const bytes = make();
    const start = performance.now();
    try {
      await target.take(bytes);
    } catch {
      // It is among the failures already.
    }
    ms = Math.min(ms, performance.now() - start);
  }
  return ms;
}

function inUse(): number {
  global.gc?.();
  global.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
