/**
 * The agent's size, memory and start beside itself on Node and on Bun, and beside an agent in Go (peers/agent.go). Memory is
 * that of a process which supervises: connected over TLS, and idle for a while.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { buildAgent } from '../../agent/quickjs/build.ts';
import { writeCpio } from '../../imager/images/cpio.ts';
import { DebianPackages } from '../../imager/images/debian.ts';
import { debianKernel } from '../../imager/images/debian-kernel.ts';
import { buildInitramfs } from '../../imager/images/initramfs-recipe.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { startEndpoint } from '../agents/endpoint.ts';
import { listening } from '../support/listening.ts';
import { NATIVE } from '../support/static-program.ts';
import { bunProgram, goAgent } from './agent-peers.ts';
import { type BenchRow, median } from './row.ts';

const PAIRS = Number(process.env.PAIRS ?? 5);
const IDLE_MS = 3000;
const HELLO_MS = 20_000;
const ADDRESS = '127.0.0.1';
const cacheDir = resolve(import.meta.dirname, '../../build/cache');

interface Agent {
  name: string;
  command: string[];
  /** What a node would have to have. */
  files: string[];
  /** Emits when this agent has said hello; nothing where it cannot: its connection fails, and it tries again. */
  hello?: EventEmitter;
}

/** Takes about three minutes. */
export async function run(): Promise<BenchRow[]> {
  const dir = mkdtempSync(join(tmpdir(), 'agent-bench-'));
  // One for each: what one runtime is defined with, the other has not.
  const ours = await startImager();
  const onNode = await startImager();
  const other = await startOther(dir);
  try {
    const all = await agents(dir, ours, onNode, other);
    const [first, ...peers] = all as [Agent, ...Agent[]];
    const rows: BenchRow[] = [];
    for (const peer of peers) {
      const compare = (name: string, unit: string, pairs: [number, number][]) =>
        rows.push(row(name, unit, peer.name, pairs));
      compare('agent: what a node has to hold', 'MB', [[size(first) / 1e6, size(peer) / 1e6]]);
      const lives: [Life, Life][] = [];
      for (let n = 0; n < PAIRS; n++) lives.push([await life(first), await life(peer)]);
      compare(
        'agent: resident while supervising',
        'MB',
        lives.map(([a, b]) => [a.resident, b.resident]),
      );
      compare(
        'agent: exec to ready',
        'ms',
        lives.map(([a, b]) => [a.milliseconds, b.milliseconds]),
      );
    }
    rows.push(...(await emulated(dir)), await initramfs(dir));
    return rows;
  } finally {
    await ours.close();
    await onNode.close();
    other.server.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

function row(name: string, unit: string, peerName: string, pairs: [number, number][]): BenchRow {
  const rounded = (value: number): number => Number(value.toPrecision(3));
  return {
    ...{ name, unit, peerName },
    ours: rounded(median(pairs.map(([ours]) => ours))),
    peer: rounded(median(pairs.map(([, peer]) => peer))),
    ratio: rounded(median(pairs.map(([ours, peer]) => peer / ours))),
  };
}

async function agents(
  dir: string,
  ours: Imager,
  onNode: Imager,
  other: { hello: EventEmitter; port: number; certificate: string },
): Promise<Agent[]> {
  const uid = join(dir, 'uid');
  writeFileSync(uid, 'serial:n1\n');
  const words = (runtime: string, { port }: Imager): string[] => [
    ...['supervise', '--imager', `${ADDRESS}:${port}`],
    ...['--state', join(dir, `state-${runtime}`), '--uid-file', uid],
  ];
  const binary = join(dir, 'agent');
  await buildAgent({ arch: NATIVE, out: binary });
  const script = join(dir, 'agent.mjs');
  await build({
    entryPoints: [resolve(import.meta.dirname, '../../agent/node/main.ts')],
    outfile: script,
    ...{ bundle: true, platform: 'node', format: 'esm', minify: true, external: ['cbor-extract'] },
  });
  const bun = await bunProgram(NATIVE);
  const go = await goAgent(NATIVE, dir);
  const node = process.execPath;
  return [
    { name: 'ours', command: [binary, ...words('quickjs', ours)], files: [binary], hello: ours.hello },
    {
      name: 'ours on Node',
      command: [node, script, ...words('node', onNode)],
      files: [node, script],
      hello: onNode.hello,
    },
    // Bun has no TLS with pre-shared keys.
    {
      name: 'ours on Bun, never connected',
      command: [bun, script, ...words('bun', onNode)],
      files: [bun, script],
    },
    {
      name: 'Go',
      command: [
        go,
        '-imager',
        `${ADDRESS}:${other.port}`,
        '-certificate',
        other.certificate,
        '-uid-file',
        uid,
      ],
      files: [go],
      hello: other.hello,
    },
  ];
}

function size(agent: Agent): number {
  return agent.files.reduce((sum, file) => sum + statSync(file).size, 0);
}

interface Life {
  /** MB. */
  resident: number;
  milliseconds: number;
}

/** One process from its start until it was idle for a while. It is ready when it prints its first line. */
async function life({ name, command, hello }: Agent): Promise<Life> {
  const [file, ...args] = command as [string, ...string[]];
  const signal = AbortSignal.timeout(HELLO_MS);
  const said = hello === undefined ? undefined : once(hello, 'hello', { signal });
  const before = performance.now();
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    await once(child.stdout, 'data', { signal });
    const milliseconds = performance.now() - before;
    await said?.catch(() => {
      throw new Error(`${name} said no hello`);
    });
    await new Promise((done) => setTimeout(done, IDLE_MS));
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    return { resident: Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1000, milliseconds };
  } finally {
    child.kill('SIGKILL');
    await once(child, 'close');
  }
}

interface Imager {
  port: number;
  /** Emits when its node has said hello. */
  hello: EventEmitter;
  close(): Promise<void>;
}

async function startImager(): Promise<Imager> {
  const hello = new EventEmitter();
  const server = await startEndpoint(new MemoryRegistry(), ({ step }) => {
    if (step === 'hello') hello.emit('hello');
  });
  return { port: server.port, hello, close: () => server.close() };
}

/** The other end of the agent in Go: it hears, and says nothing. */
async function startOther(
  dir: string,
): Promise<{ server: Server; port: number; hello: EventEmitter; certificate: string }> {
  const [key, certificate] = [join(dir, 'key.pem'), join(dir, 'certificate.pem')];
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...['-subj', '/CN=imager', '-addext', 'subjectAltName=DNS:imager', '-keyout', key, '-out', certificate],
    ],
    { stdio: 'ignore' },
  );
  const hello = new EventEmitter();
  const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (socket) => {
    socket.once('data', () => hello.emit('hello'));
    socket.on('error', () => {});
    socket.resume();
  });
  return { server, port: await listening(server), hello, certificate };
}

/** Exec to the first line printed, which is when the agent can act, on a whole emulated arm64 machine. */
async function emulated(dir: string): Promise<BenchRow[]> {
  const arch = 'arm64';
  const [agent, go] = [join(dir, 'agent-arm64'), await goAgent(arch, dir)];
  await buildAgent({ arch, out: agent });
  const starts = join(dir, 'starts');
  const source = resolve(import.meta.dirname, '../../test/bench/peers/starts.c');
  execFileSync('aarch64-linux-gnu-gcc', ['-Os', '-static', '-o', starts, source]);
  const programs = [
    '/agent supervise --imager 127.0.0.1 --state /state --uid-file /uid',
    '/go -certificate /certificate -uid-file /uid',
  ];
  const file = (path: string, content: Uint8Array, mode = 0o644) =>
    ({ path, type: 'file', content, mode }) as const;
  const initrd = join(dir, 'starts.cpio');
  writeFileSync(
    initrd,
    writeCpio([
      ...['dev', 'proc', 'sys', 'state'].map((path) => ({ path, type: 'directory' }) as const),
      { path: 'dev/console', type: 'character-device', major: 5, minor: 1 },
      file('init', readFileSync(starts), 0o755),
      file('agent', readFileSync(agent), 0o755),
      file('go', readFileSync(go), 0o755),
      file('uid', Buffer.from('serial:n1\n')),
      file('certificate', readFileSync(join(dir, 'certificate.pem'))),
      file('programs', Buffer.from(`${programs.join('\n')}\n`)),
    ]),
  );
  const { vmlinuz } = await debianKernel(new DebianPackages({ arch, cacheDir }));
  const { stdout } = await promisify(execFile)(
    'qemu-system-aarch64',
    [
      ...['-machine', 'virt', '-cpu', 'cortex-a57', '-accel', 'tcg', '-m', '512', '-display', 'none'],
      ...['-serial', 'stdio', '-nodefaults', '-no-reboot', '-kernel', vmlinuz, '-initrd', initrd],
      ...['-append', 'console=ttyAMA0 loglevel=3 panic=-1 cryptomgr.notests'],
    ],
    { timeout: 90_000, killSignal: 'SIGKILL' },
  );
  const times = (path: string): number[] =>
    [...stdout.matchAll(new RegExp(`START ${path} (\\d+)`, 'g'))].map(([, us]) => Number(us) / 1000);
  const [ours, peer] = [times('/agent'), times('/go')];
  if (ours.length === 0 || ours.length !== peer.length) throw new Error(`the machine said:\n${stdout}`);
  return [
    row(
      'agent: exec to ready, arm64 under QEMU TCG',
      'ms',
      'Go',
      ours.map((each, n) => [each, peer[n]!]),
    ),
  ];
}

/** Modules, busybox and the agent, compressed, with ours and with the one in Go. */
async function initramfs(dir: string): Promise<BenchRow> {
  const bytes = async (agent: string): Promise<number> => {
    const options = {
      arch: NATIVE,
      agent,
      busybox: { debian: true },
      compression: 'xz',
      cacheDir: () => cacheDir,
    } as const;
    return (await buildInitramfs(options)).bytes.length;
  };
  const ours = await bytes(join(dir, 'agent'));
  const peer = await bytes(await goAgent(NATIVE, dir));
  return row('initramfs with modules, busybox and agent, xz', 'MB', 'Go', [[ours / 1e6, peer / 1e6]]);
}
