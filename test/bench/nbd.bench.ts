/**
 * The NBD server against `nbdkit file` on the same image, with the same clients, in one network namespace. The image
 * is in the page cache: what is compared is the cost of requests, not the disk. `run()` alternates the two, so that
 * whatever else the machine does hits both.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { NetworkNamespace } from '../../firmware-stubs/rig/namespace.ts';
import { Disks } from '../../imager/disks/catalog.ts';
import { bundle, startInside } from '../support/inside.ts';
import { type BenchRow, median } from './row.ts';

const SIZE = 256 * 2 ** 20;
const PAIRS = 7;
const REQUESTS = 10_000;

/** Seconds one measurement takes, as its client tells. */
type Measure = (uri: string) => Promise<number>;

/** Prime steps of a bit over 1 MiB: 4 KiB reads all over the image, the same places for both. */
function reads(space: NetworkNamespace, depth: number): Measure {
  return async (uri) => {
    const output = await space.check(
      `qemu-img bench -f raw -t none -c ${REQUESTS} -d ${depth} -s 4096 -S 1052672 ${uri}`.split(' '),
    );
    return Number(/completed in ([\d.]+) seconds/.exec(output)![1]);
  };
}

function copy(space: NetworkNamespace): Measure {
  return async (uri) => {
    const start = performance.now();
    await space.check(['nbdcopy', '--connections=1', '--requests=8', uri, 'null:']);
    return (performance.now() - start) / 1000;
  };
}

async function compare(
  row: { name: string; unit: string; figure: (seconds: number) => number },
  measure: Measure,
  ours: string,
  peer: string,
): Promise<BenchRow> {
  const pairs: [number, number][] = [];
  await Promise.all([await measure(ours), await measure(peer)]);
  for (let i = 0; i < PAIRS; i++) {
    const first = i % 2 === 0;
    const a = await measure(first ? ours : peer);
    const b = await measure(first ? peer : ours);
    pairs.push(first ? [a, b] : [b, a]);
  }
  return {
    name: row.name,
    ours: row.figure(median(pairs.map(([mine]) => mine))),
    peer: row.figure(median(pairs.map(([, other]) => other))),
    peerName: 'nbdkit file',
    unit: row.unit,
    ratio: Number(median(pairs.map(([mine, other]) => other / mine)).toPrecision(3)),
  };
}

/** Half of the image is in the overlay, half in the base. */
async function makeStore(dir: string): Promise<void> {
  const image = randomBytes(SIZE);
  writeFileSync(join(dir, 'image'), image);
  const disks = await Disks.open({ dir, log: pino({ level: 'silent' }) });
  await disks.addBase('b', join(dir, 'image'));
  await disks.create('n1', 'b');
  const disk = await disks.open('n1', { address: '127.0.0.1' });
  if ('refused' in disk) throw new Error(disk.why);
  for (let at = 0; at < SIZE; at += 8 * 2 ** 20) await disk.write(image.subarray(at, at + 4 * 2 ** 20), at);
  await disks.close();
}

/** Sequential read, and 4 KiB reads at depth 1 and 32. Takes about a minute. */
export async function run(): Promise<BenchRow[]> {
  const dir = mkdtempSync(join(tmpdir(), 'nbd-bench-'));
  const program = await bundle('test/nbd/serve.ts');
  const space = await NetworkNamespace.open();
  try {
    await makeStore(dir);
    const { ready } = await startInside(space, program, [dir]);
    const ours = `nbd://127.0.0.1:${ready.split(' ')[1]}/n1`;
    const peer = 'nbd://127.0.0.1:10809';
    const nbdkit = space.spawn(['nbdkit', '--foreground', '--ipaddr=127.0.0.1', 'file', join(dir, 'image')]);
    const failed = new Promise<never>((_, reject) =>
      nbdkit.once('exit', () => reject(new Error('nbdkit ended'))),
    );
    failed.catch(() => undefined);
    await Promise.race([failed, answers(space, peer)]);
    const rate = (seconds: number): number => Math.round(SIZE / 2 ** 20 / seconds);
    const operations = (seconds: number): number => Math.round(REQUESTS / seconds);
    return [
      await compare({ name: 'nbd sequential read', unit: 'MiB/s', figure: rate }, copy(space), ours, peer),
      await compare(
        { name: 'nbd 4 KiB read, depth 1', unit: 'requests/s', figure: operations },
        reads(space, 1),
        ours,
        peer,
      ),
      await compare(
        { name: 'nbd 4 KiB read, depth 32', unit: 'requests/s', figure: operations },
        reads(space, 32),
        ours,
        peer,
      ),
    ];
  } finally {
    await space.close();
    rmSync(dir, { recursive: true });
    rmSync(dirname(program), { recursive: true });
  }
}

/** Resolves once a server answers at `uri`. */
async function answers(space: NetworkNamespace, uri: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if ((await space.run(['nbdinfo', '--size', uri])).code === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`no answer from ${uri}`);
}
