/**
 * What a boot reads of its disk, as recorded on the x86 rig (fixtures/packs), asked for one read after another from
 * nbdkit, and from ours by way of its pack and the agent's relay; requests that reach the server, and seconds where a
 * round trip takes 0.2, 2 and 20 ms. The delay is made by a relay of TCP (delay.ts): no netem needed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Disks } from '../../imager/disks/catalog.ts';
import { makePack } from '../../imager/packs/pack-file.ts';
import { BLOCK_SIZE, decodeTrace, encodeTrace, type Trace } from '../../imager/packs/trace.ts';
import { CMD, KernelEnd } from '../packs/nbd-ends.ts';
import { startRelay } from '../packs/relay-program.ts';
import { bundle } from '../support/inside.ts';
import { type BenchRow, median } from './row.ts';

const PAIRS = 3;
/** A kernel asks for so much at once of a file that is read from its beginning to its end. */
const READ_AHEAD = 128 * 1024;
const TRACE = 'fixtures/packs/web-amd64.trace';

interface Read {
  offset: number;
  length: number;
}

function recorded(): Trace {
  const bytes = readFileSync(TRACE);
  const image = { size: Number(bytes.readBigUInt64LE(16)), digest: bytes.toString('hex', 24, 56) };
  return decodeTrace(bytes, image);
}

function readsOf({ runs, size }: Trace): Read[] {
  return runs.flatMap(({ block, count }) => {
    const [from, to] = [block * BLOCK_SIZE, Math.min(size, (block + count) * BLOCK_SIZE)];
    return Array.from({ length: Math.ceil((to - from) / READ_AHEAD) }, (_, i) => {
      const offset = from + i * READ_AHEAD;
      return { offset, length: Math.min(READ_AHEAD, to - offset) };
    });
  });
}

/** An image with something in every block of the trace, a disk over it, and its pack. */
async function makeStore(dir: string, trace: Trace): Promise<void> {
  const file = join(dir, 'image');
  writeFileSync(file, '');
  truncateSync(file, trace.size);
  const fd = openSync(file, 'r+');
  for (const { block, count } of trace.runs)
    writeSync(fd, randomBytes(count * BLOCK_SIZE), 0, count * BLOCK_SIZE, block * BLOCK_SIZE);
  closeSync(fd);
  const disks = await Disks.open({ dir, log: pino({ level: 'silent' }) });
  const { digest, size } = await disks.addBase('web', file);
  await disks.create('n1', 'web');
  await disks.close();
  const own = { ...trace, digest, size };
  writeFileSync(join(dir, 'bases/web.trace'), encodeTrace(own));
  await makePack(join(dir, 'bases'), 'web', own, new AbortController().signal);
}

/** Programs of the bench, and their first line's words after "ready". */
class Programs {
  readonly #running: ChildProcess[] = [];

  async start(command: string, ...args: string[]): Promise<number[]> {
    const child = this.spawn(command, ...args);
    return new Promise((done, fail) => {
      let text = '';
      child.stdout!.on('data', (chunk: Buffer) => {
        text += chunk;
        if (text.includes('\n')) done(text.split('\n')[0]!.split(' ').slice(1).map(Number));
      });
      child.once('exit', () => fail(new Error(`${command} ${args[0]} ended`)));
    });
  }

  spawn(command: string, ...args: string[]): ChildProcess {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#running.push(child);
    return child;
  }

  end(): void {
    for (const child of this.#running) child.kill();
  }
}

/** Opens an export with NBD_OPT_EXPORT_NAME: the socket, in its transmission phase. */
async function attach(port: number, name: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  socket.on('error', () => {});
  await take(socket, 18);
  const option = Buffer.alloc(20 + name.length);
  option.writeUInt32BE(3, 0);
  option.write('IHAVEOPT', 4);
  option.writeUInt32BE(1, 12);
  option.writeUInt32BE(name.length, 16);
  option.write(name, 20);
  socket.write(option);
  await take(socket, 10);
  return socket;
}

async function take(socket: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const got = socket.read(count) as Buffer | null;
    if (got !== null) return got;
    await new Promise((resolve, reject) => {
      socket.once('readable', resolve);
      socket.once('close', () => reject(new Error('the server hung up')));
    });
  }
}

async function replay(kernel: KernelEnd, reads: readonly Read[]): Promise<void> {
  for (const { offset, length } of reads) {
    const data = await kernel.ask(CMD.read, offset, length);
    if (!Buffer.isBuffer(data) || data.length !== length) throw new Error(`read ${offset}: ${String(data)}`);
  }
}

/** Seconds from an attached disk to the last read done. */
async function plain(port: number, reads: readonly Read[]): Promise<number> {
  const socket = await attach(port, '');
  const start = performance.now();
  await replay(new KernelEnd(socket), reads);
  const seconds = (performance.now() - start) / 1000;
  socket.destroy();
  return seconds;
}

async function packed(nbd: number, http: number, reads: readonly Read[], size: number): Promise<number> {
  const socket = await attach(nbd, 'n1');
  // The agent forks, which takes no time beside the start of a program.
  const relay = startRelay(size, 1000, 'fast');
  const start = performance.now();
  const response = await fetch(`http://127.0.0.1:${http}/packs/n1`, { headers: { connection: 'close' } });
  if (!response.ok) throw new Error(`no pack: ${await response.text()}`);
  relay.give(Buffer.from(await response.arrayBuffer()));
  relay.imager.pipe(socket);
  socket.pipe(relay.imager);
  await replay(new KernelEnd(relay.kernel), reads);
  const seconds = (performance.now() - start) / 1000;
  relay.process.kill();
  socket.destroy();
  await relay.ended;
  return seconds;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Takes about half a minute. */
export async function run(): Promise<BenchRow[]> {
  const dir = mkdtempSync(join(tmpdir(), 'boot-pack-bench-'));
  const [serve, delay] = await Promise.all([
    bundle('test/bench/pack-serve.ts'),
    bundle('test/bench/delay.ts'),
  ]);
  const programs = new Programs();
  const trace = recorded();
  const reads = readsOf(trace);
  try {
    await makeStore(dir, trace);
    const [nbd, http] = (await programs.start(process.execPath, serve, dir)) as [number, number];
    const peer = await freePort();
    const logFile = join(dir, 'log');
    programs.spawn(
      'nbdkit',
      ...['--foreground', '--ipaddr=127.0.0.1', `--port=${peer}`, '--filter=log'],
      ...['file', join(dir, 'image'), `logfile=${logFile}`],
    );
    await answering(peer);
    const requests = await countRequests();
    const rows = [];
    for (const milliseconds of [0.2, 2, 20]) rows.push(await timed(milliseconds));
    return [requests, ...rows];

    async function countRequests(): Promise<BenchRow> {
      await plain(peer, reads);
      const theirs = readFileSync(logFile, 'utf8').match(/ Read id=/g)?.length ?? 0;
      const before = await countOurs();
      await packed(nbd, http, reads, trace.size);
      // And one for the pack.
      const ours = (await countOurs()) - before + 1;
      const name = 'boot reads from a pack, requests to the server';
      return { name, ours, peer: theirs, peerName: 'nbdkit file', unit: 'requests', ratio: theirs / ours };
    }

    async function countOurs(): Promise<number> {
      return Number(await (await fetch(`http://127.0.0.1:${http}/requests`)).text());
    }

    async function timed(milliseconds: number): Promise<BenchRow> {
      const far = async (port: number) =>
        (await programs.start(process.execPath, delay, String(port), String(milliseconds)))[0]!;
      const [farNbd, farHttp, farPeer] = await Promise.all([far(nbd), far(http), far(peer)]);
      const pairs: [ours: number, theirs: number][] = [];
      for (let i = 0; i < PAIRS; i++)
        pairs.push([await packed(farNbd, farHttp, reads, trace.size), await plain(farPeer, reads)]);
      return {
        name: `boot reads from a pack, round trip of ${milliseconds} ms`,
        ours: Math.round(median(pairs.map(([ours]) => ours)) * 1000),
        peer: Math.round(median(pairs.map(([, theirs]) => theirs)) * 1000),
        peerName: 'nbdkit file',
        unit: 'ms',
        ratio: Number(median(pairs.map(([ours, theirs]) => theirs / ours)).toPrecision(3)),
      };
    }
  } finally {
    programs.end();
    rmSync(dir, { recursive: true });
  }
}

/** Resolves once something accepts connections there. */
async function answering(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const socket = connect({ host: '127.0.0.1', port });
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`nobody answers at port ${port}`);
}
