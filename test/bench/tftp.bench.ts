/**
 * TFTP throughput, ours against dnsmasq, tftpd-hpa and npm `tftp`, in alternating pairs in a private network namespace:
 * client and server on one machine, so that what is compared is the server's own time and how it takes losses.
 * Ratios above 1: ours is faster.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NetworkNamespace } from '../../firmware-stubs/rig/namespace.ts';
import { bundle, startInside } from '../support/inside.ts';
import { sampleBytes } from '../tftp/served.ts';
import { unpackedPeer } from './peers.ts';
import { type BenchRow, median } from './row.ts';

interface Server {
  name: string;
  address: string;
}

/** MiB per second of one measurement. */
type Measure = (server: Server) => Promise<number>;
type Client = (out: string, file: string, address: string) => string[];

const MIB = 1024 * 1024;
const WHOLE = 32;
const PART = 4;
const CLIENTS = 50;
/** With losses a transfer is cut off then, and what came counts: some would take many minutes. */
const LOSSY_SECONDS = 6;

const OURS = { name: 'ours', address: '10.88.0.2' };
const NPM = { name: 'npm tftp 0.1.2', address: '10.88.0.3' };
const DNSMASQ = { name: 'dnsmasq', address: '10.88.0.4' };
const HPA = { name: 'tftpd-hpa', address: '10.88.0.5' };

const curl: Client = (out, file, address) => [
  ...['curl', '-sS', '--tftp-blksize', '1468', '-o', out, `tftp://${address}/${file}`],
];
function atftp(windowsize: number): Client {
  return (out, file, address) => [
    ...['atftp', '--option', 'blksize 1468', '--option', `windowsize ${windowsize}`],
    ...['-g', '-r', file, '-l', out, address, '69'],
  ];
}

/** Runs all comparisons; takes about five minutes. */
export async function run(): Promise<BenchRow[]> {
  const root = mkdtempSync(join(tmpdir(), 'tftp-bench-'));
  const space = await NetworkNamespace.open();
  const single = (client: Client): Measure => fetchWhole(space, root, client);
  const lossy = (client: Client): Measure => fetchInTime(space, root, client);
  try {
    writeFileSync(join(root, 'whole'), sampleBytes(WHOLE * MIB));
    writeFileSync(join(root, 'part'), sampleBytes(PART * MIB));
    await startServers(space, root);
    const rows: BenchRow[] = [];
    const compare = async (name: string, pairs: number, measure: Measure, peers: Server[]) => {
      for (const peer of peers) rows.push(await inPairs(name, pairs, measure, peer));
    };
    const both = [DNSMASQ, HPA];
    await compare(`tftp, ${WHOLE} MiB, curl, lockstep 1468`, 9, single(curl), both);
    await compare(
      `tftp, ${WHOLE} MiB, atftp asks for windowsize 16, peer answers in lockstep`,
      ...([3, single(atftp(16)), both] as const),
    );
    await compare(
      `tftp, ${WHOLE} MiB, atftp asks for windowsize 64, peer answers in lockstep`,
      ...([3, single(atftp(64)), both] as const),
    );
    await compare(`tftp, ${WHOLE} MiB, atftp, windowsize 16`, 5, single(atftp(16)), [NPM]);
    const crowd = join(root, 'tftp-crowd');
    const source = join(import.meta.dirname, '../../test/bench/tftp-crowd.c');
    execFileSync('gcc', ['-O2', '-Wall', '-Wextra', '-Werror', source, '-o', crowd]);
    await compare(
      `tftp, ${CLIENTS} clients of ${PART} MiB at once, lockstep`,
      7,
      fetchAll(space, crowd),
      both,
    );
    for (const percent of [1, 5]) {
      await lose(space, percent);
      await compare(
        `tftp, curl, lockstep, ${percent} % loss, what comes in ${LOSSY_SECONDS} s`,
        3,
        lossy(curl),
        both,
      );
      await compare(
        `tftp, atftp asks for windowsize 16, ${percent} % loss, peer in lockstep, what comes in ${LOSSY_SECONDS} s`,
        ...([3, lossy(atftp(16)), both] as const),
      );
    }
    return rows;
  } finally {
    await space.close();
    rmSync(root, { recursive: true });
  }
}

async function startServers(space: NetworkNamespace, root: string): Promise<void> {
  for (const { address } of [OURS, NPM, DNSMASQ, HPA])
    await space.check(['ip', 'address', 'add', `${address}/24`, 'dev', 'lo']);
  await space.check('ip route add local 10.89.0.0/24 dev lo'.split(' '));
  const program = await bundle('test/bench/tftp-serve.ts');
  await startInside(space, program, ['ours', OURS.address, root]);
  await startInside(space, program, ['npm', NPM.address, root]);
  space.spawn([
    ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--pid-file=', '--user=root', '--port=0'],
    ...['--enable-tftp', `--tftp-root=${root}`, `--tftp-max=${2 * CLIENTS}`],
    ...[`--listen-address=${DNSMASQ.address}`, '--bind-interfaces'],
  ]);
  const hpa = join(await unpackedPeer('tftpd-hpa'), 'usr/sbin/in.tftpd');
  space.spawn([
    hpa,
    '-4',
    '--foreground',
    '--user',
    'root',
    '--address',
    `${HPA.address}:69`,
    '--secure',
    root,
  ]);
  // They say nothing when they are ready; curl asks again each second until it is answered.
  for (const { address } of [DNSMASQ, HPA]) await space.check(curl(join(root, 'ready'), 'part', address));
}

/** From now on so many of a hundred packets get lost, in both directions. */
async function lose(space: NetworkNamespace, percent: number): Promise<void> {
  const hook = 'type filter hook input priority 0;';
  const rule = `meta l4proto udp numgen random mod 100 < ${percent} drop`;
  // Made first where it is not there, since what is not there cannot be deleted.
  const table = `table ip loss\ndelete table ip loss\ntable ip loss { chain arriving { ${hook} ${rule}; }; }\n`;
  await space.check(['nft', '-f', '-'], { input: table });
}

function fetchWhole(space: NetworkNamespace, root: string, client: Client): Measure {
  const expected = readFileSync(join(root, 'whole'));
  return async ({ name, address }) => {
    const out = join(root, 'out');
    const before = performance.now();
    await space.check(client(out, 'whole', address), { timeoutMs: 60_000 });
    const seconds = (performance.now() - before) / 1000;
    if (!readFileSync(out).equals(expected)) throw new Error(`${name} sent another file`);
    rmSync(out);
    return WHOLE / seconds;
  };
}

/** What came whole and in order within LOSSY_SECONDS counts. */
function fetchInTime(space: NetworkNamespace, root: string, client: Client): Measure {
  const expected = readFileSync(join(root, 'whole'));
  return async ({ name, address }) => {
    const out = join(root, 'out');
    writeFileSync(out, '');
    const before = performance.now();
    await space.run(['timeout', `${LOSSY_SECONDS}`, ...client(out, 'whole', address)]);
    const seconds = (performance.now() - before) / 1000;
    const came = readFileSync(out);
    if (!came.equals(expected.subarray(0, came.length))) throw new Error(`${name} sent another file`);
    // Never nothing: it is divided by.
    return Math.max(came.length, 1) / MIB / seconds;
  };
}

function fetchAll(space: NetworkNamespace, program: string): Measure {
  return async ({ address }) => {
    const length = PART * MIB;
    const output = await space.check(
      [program, `${CLIENTS}`, address, '69', 'part', `${length}`, '10.89.0.1'],
      { timeoutMs: 120_000 },
    );
    return (CLIENTS * PART) / Number(/seconds ([\d.]+)/.exec(output)![1]);
  };
}

async function inPairs(name: string, pairs: number, measure: Measure, peer: Server): Promise<BenchRow> {
  const figures: { ours: number; peer: number }[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const [first, second] = pair % 2 === 0 ? [OURS, peer] : [peer, OURS];
    const [a, b] = [await measure(first), await measure(second)];
    figures.push(first === OURS ? { ours: a, peer: b } : { ours: b, peer: a });
  }
  return {
    name,
    ours: round(median(figures.map((pair) => pair.ours))),
    peer: round(median(figures.map((pair) => pair.peer))),
    peerName: peer.name,
    unit: 'MiB/s',
    ratio: round(median(figures.map((pair) => pair.ours / pair.peer))),
  };
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
