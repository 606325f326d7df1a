/**
 * The NBD server against nbdkit and qemu-nbd, each with a copy of the same image, with the same client (nbd-load.c),
 * in one network namespace. Images are in the page cache: what is compared is the cost of requests, not the disk.
 * In each round every server has its turn, so that whatever else the machine does hits all.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NetworkNamespace } from '../../firmware-stubs/rig/namespace.ts';
import { bundle } from '../support/inside.ts';
import { ADDRESS, IMAGE_SIZE, type NbdServerUnderTest, startServers } from './nbd-servers.ts';
import { type BenchRow, median } from './row.ts';

const ROUNDS = 5;
/** Rounds before those that count: servers run for months, and what is compiled while they do is compiled by then. */
const WARM_UP = 3;
const CROWD = 50;
/**
 * For all of them, whatever this machine has set: as Debian's cubic it sends as fast as it may, which bbr does not: that
 * waits on timers between parts of a reply, on the loopback interface too. Cubic itself is not to be had in a namespace.
 */
const CONGESTION_CONTROL = 'reno';
const KIB = 1024;
/** Between two measurements: servers close what the last client had open. */
const PAUSE_MS = 100;

interface Load {
  name: string;
  command: 'read' | 'write';
  order: 'sequential' | 'random';
  /** Bytes of a request. */
  block: number;
  depth: number;
  connections: number;
  requests: number;
  /** A flush after so many writes; 0: none. */
  flushAfter: number;
}

const SEQUENTIAL = {
  order: 'sequential',
  block: 256 * KIB,
  depth: 8,
  connections: 1,
  flushAfter: 0,
} as const;
const RANDOM = { order: 'random', block: 4 * KIB, connections: 1, flushAfter: 0 } as const;
const LOADS: Load[] = [
  { name: 'sequential read, 256 KiB', command: 'read', ...SEQUENTIAL, requests: 3000 },
  { name: 'sequential write, 256 KiB', command: 'write', ...SEQUENTIAL, requests: 2000 },
  { name: '4 KiB random read, depth 1', command: 'read', ...RANDOM, depth: 1, requests: 15_000 },
  { name: '4 KiB random read, depth 32', command: 'read', ...RANDOM, depth: 32, requests: 50_000 },
  { name: '4 KiB random write, depth 1', command: 'write', ...RANDOM, depth: 1, requests: 15_000 },
  { name: '4 KiB random write, depth 32', command: 'write', ...RANDOM, depth: 32, requests: 40_000 },
  {
    ...{ name: '4 KiB random write, depth 16, flush after 16', command: 'write', ...RANDOM },
    ...{ depth: 16, requests: 1600, flushAfter: 16 },
  },
  {
    ...{ name: `4 KiB random read, ${CROWD} connections`, command: 'read', ...RANDOM },
    ...{ depth: 4, connections: CROWD, requests: 50_000 },
  },
  {
    ...{ name: `4 KiB random write, ${CROWD} connections`, command: 'write', ...RANDOM },
    ...{ depth: 4, connections: CROWD, requests: 30_000 },
  },
];

/** Seconds one measurement takes. */
type Measure = (server: NbdServerUnderTest, load: Load, seed: number) => Promise<number>;

/**
 * What one server wrote is on the drive before the next one is measured: ours flushes a disk whose client left, nbdkit leaves
 * it to the kernel, and either would take processor time and the drive from whoever's turn is next.
 */
function measureWith(space: NetworkNamespace, client: string, dir: string): Measure {
  return async ({ port, disk, crowdDisks }, load, seed) => {
    const { command, order, block, depth, connections, requests, flushAfter } = load;
    const name = connections > 1 ? crowdDisks : disk;
    const numbers = [block, depth, connections, requests, flushAfter, seed].map(String);
    const output = await space.check([client, ADDRESS, `${port}`, name, command, order, ...numbers], {
      timeoutMs: 120_000,
    });
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    execFileSync('sync', ['--file-system', dir]);
    return Number(/seconds ([\d.]+)/.exec(output)![1]);
  };
}

/** Sequential and random reads and writes, flushes, many connections. Takes about eight minutes. */
export async function run(): Promise<BenchRow[]> {
  const dir = mkdtempSync(join(tmpdir(), 'nbd-bench-'));
  const program = await bundle('test/nbd/serve.ts');
  const space = await NetworkNamespace.open();
  try {
    await space.check(['sysctl', '-qw', `net.ipv4.tcp_congestion_control=${CONGESTION_CONTROL}`]);
    const client = join(dir, 'nbd-load');
    const source = join(import.meta.dirname, '../../test/bench/nbd-load.c');
    execFileSync('gcc', ['-O2', '-Wall', '-Wextra', '-Werror', source, '-o', client]);
    const servers = await startServers(space, dir, program, CROWD);
    const measure = measureWith(space, client, dir);
    await halfWrite(servers, measure);
    const rows: BenchRow[] = [];
    for (const load of LOADS) rows.push(...(await compare(load, servers, measure)));
    return rows;
  } finally {
    await space.close();
    rmSync(dir, { recursive: true });
  }
}

/** The first half of each disk is its own, the other one as in the image. */
async function halfWrite(servers: NbdServerUnderTest[], measure: Measure): Promise<void> {
  const half: Load = {
    name: 'half',
    command: 'write',
    ...SEQUENTIAL,
    requests: IMAGE_SIZE / 2 / (256 * KIB),
  };
  for (const server of servers) await measure(server, half, 0);
}

/**
 * A row against the best of the peers; where there are flushes, against nbdkit's overlay apart: it ignores them. With
 * NBD_BENCH_ALL set, a row for each peer.
 */
async function compare(load: Load, servers: NbdServerUnderTest[], measure: Measure): Promise<BenchRow[]> {
  const rounds: Map<string, number>[] = [];
  for (let round = 0; round < WARM_UP; round++) for (const server of servers) await measure(server, load, 0);
  for (let round = 0; round < ROUNDS; round++) {
    const seconds = new Map<string, number>();
    // Each round begins with another one.
    for (let i = 0; i < servers.length; i++) {
      const server = servers[(round + i) % servers.length]!;
      seconds.set(server.name, await measure(server, load, round + 1));
    }
    rounds.push(seconds);
  }
  const row = (peerName: string, note = ''): BenchRow => {
    const rate = (name: string): number => load.requests / median(rounds.map((round) => round.get(name)!));
    const inMiB = load.order === 'sequential';
    const figure = (name: string): number =>
      Math.round(inMiB ? (rate(name) * load.block) / 2 ** 20 : rate(name));
    const ratio = median(rounds.map((round) => round.get(peerName)! / round.get('ours')!));
    return {
      name: `nbd ${load.name}${note}`,
      ours: figure('ours'),
      peer: figure(peerName),
      peerName,
      unit: inMiB ? 'MiB/s' : 'requests/s',
      ratio: Number(ratio.toPrecision(3)),
    };
  };
  const all = servers.slice(1).map(({ name }) => row(name));
  if (process.env.NBD_BENCH_ALL !== undefined) return all;
  const best = (some: BenchRow[]): BenchRow => some.reduce((a, b) => (b.ratio < a.ratio ? b : a));
  if (load.flushAfter === 0) return [best(all)];
  const honest = all.filter(({ peerName }) => peerName !== 'nbdkit cow');
  return [best(honest), row('nbdkit cow', ' (which ignores flushes)')];
}
