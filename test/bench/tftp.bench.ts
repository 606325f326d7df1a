/**
 * TFTP throughput: whole files to clients that others wrote, ours against npm `tftp` and dnsmasq, in alternating
 * pairs on the loopback of a private network namespace. Ratios above 1: ours is faster.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NetworkNamespace } from '../../firmware-stubs/rig/namespace.ts';
import { bundle, startInside } from '../support/inside.ts';
import { sampleBytes } from '../tftp/served.ts';
import { type BenchRow, median } from './row.ts';

interface Endpoint {
  address: string;
  port: number;
}

type Client = (out: string, file: string, at: Endpoint) => string[];

const MIB = 1024 * 1024;
const PAIRS = 5;
const LIMIT_MS = 10_000;

const curl: Client = (out, file, { address, port }) => [
  ...['curl', '-sS', '--tftp-blksize', '1468', '-o', out, `tftp://${address}:${port}/${file}`],
];
const atftp: Client = (out, file, { address, port }) => [
  ...['atftp', '--option', 'blksize 1468', '--option', 'windowsize 16'],
  ...['-g', '-r', file, '-l', out, address, `${port}`],
];
const hpa: Client = (out, file, { address, port }) => [
  ...['tftp', '-m', 'binary', address, `${port}`, '-c', 'get', file, out],
];

/** Runs all comparisons; takes about a minute. */
export async function run(): Promise<BenchRow[]> {
  const root = mkdtempSync(join(tmpdir(), 'tftp-bench-'));
  const space = await NetworkNamespace.open();
  try {
    writeFileSync(join(root, 'whole'), sampleBytes(16 * MIB));
    writeFileSync(join(root, 'part'), sampleBytes(2 * MIB));
    const program = await bundle('test/bench/tftp-serve.ts');
    const serve = async (address: string, ...args: string[]): Promise<Endpoint> => {
      const { ready } = await startInside(space, program, [args[0]!, address, root, ...args.slice(1)]);
      return { address, port: Number(ready.split(' ')[1]) };
    };
    const ours = await serve('127.0.0.2', 'ours');
    const npm = await serve('127.0.0.3', 'npm');
    const dnsmasq = await startDnsmasq(space, root, '127.0.0.4');
    const lossy = {
      ours: await serve('127.0.0.1', 'ours', '0.02'),
      npm: await serve('127.0.0.1', 'npm', '0.02'),
    };
    const measure = (
      name: string,
      client: Client,
      file: string,
      a: Endpoint,
      b: Endpoint,
      peerName: string,
    ) => compare({ space, root, name, client, file, ours: a, peer: b, peerName });
    return [
      await measure('tftp, 16 MiB, atftp, windowsize 16', atftp, 'whole', ours, npm, 'npm tftp 0.1.2'),
      await measure('tftp, 16 MiB, curl, lockstep 1468', curl, 'whole', ours, npm, 'npm tftp 0.1.2'),
      await measure('tftp, 16 MiB, tftp-hpa, lockstep 512', hpa, 'whole', ours, npm, 'npm tftp 0.1.2'),
      await measure(
        'tftp, 2 MiB, atftp, windowsize 16, 2 % loss',
        atftp,
        'part',
        lossy.ours,
        lossy.npm,
        'npm tftp 0.1.2',
      ),
      await measure('tftp, 16 MiB, curl, lockstep 1468', curl, 'whole', ours, dnsmasq, 'dnsmasq'),
    ];
  } finally {
    await space.close();
    rmSync(root, { recursive: true });
  }
}

async function startDnsmasq(space: NetworkNamespace, root: string, address: string): Promise<Endpoint> {
  space.spawn([
    ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--pid-file=', '--user=root', '--port=0'],
    ...['--enable-tftp', `--tftp-root=${root}`, `--listen-address=${address}`, '--bind-interfaces'],
  ]);
  const endpoint = { address, port: 69 };
  // It says nothing when it is ready; curl asks again each second until it is answered.
  await space.check(curl(join(root, 'ready'), 'part', endpoint));
  return endpoint;
}

async function compare(options: {
  space: NetworkNamespace;
  root: string;
  name: string;
  client: Client;
  file: string;
  ours: Endpoint;
  peer: Endpoint;
  peerName: string;
}): Promise<BenchRow> {
  const { space, root, name, client, file, peerName } = options;
  const expected = readFileSync(join(root, file));
  /** MiB per second; as if it had just made the time limit where the client did not get the whole file at all. */
  const once = async (at: Endpoint): Promise<number> => {
    const out = join(root, 'out');
    rmSync(out, { force: true });
    const before = performance.now();
    const { code } = await space
      .run(client(out, file, at), { timeoutMs: LIMIT_MS })
      .catch(() => ({ code: -1 }));
    const seconds = (performance.now() - before) / 1000;
    return code === 0 && readFileSync(out).equals(expected)
      ? expected.length / MIB / seconds
      : expected.length / MIB / (LIMIT_MS / 1000);
  };
  const pairs: { ours: number; peer: number }[] = [];
  for (let pair = 0; pair < PAIRS; pair++)
    pairs.push({ ours: await once(options.ours), peer: await once(options.peer) });
  const ours = median(pairs.map((pair) => pair.ours));
  const peer = median(pairs.map((pair) => pair.peer));
  const ratio = median(pairs.map((pair) => pair.ours / pair.peer));
  return { name, ours: round(ours), peer: round(peer), peerName, unit: 'MiB/s', ratio: round(ratio) };
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
