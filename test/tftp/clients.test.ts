/** The server against clients that others wrote, on a good wire and on a bad one. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import tftp from 'tftp';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { NetworkNamespace } from '../../firmware-stubs/rig/namespace.ts';
import { bundle, startInside } from '../support/inside.ts';
import { LossyRelay } from './lossy-relay.ts';
import { Probe } from './probe.ts';
import { type Served, sampleBytes, serve } from './served.ts';

// Generous: the machine may be busy with other tests.
vi.setConfig({ testTimeout: 120_000 });

const run = promisify(execFile);
/** As large as a distribution kernel. */
const KERNEL = sampleBytes(13 * 1024 * 1024);
/** Past 65,535 blocks of 512 bytes. */
const LARGE = sampleBytes(33 * 1024 * 1024);
const SMALL = sampleBytes(300_000);
/** Exactly 100 blocks of 1024: ends with an empty one. */
const EVEN = sampleBytes(102_400);

let directory = '';
let served: Served;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tftp-clients-'));
});
afterAll(() => rm(directory, { recursive: true }));
afterEach(async () => {
  await served.server.close();
  expect(served.open()).toBe(0);
});

const files = {
  'boot/kernel': KERNEL,
  large: LARGE,
  small: SMALL,
  even: EVEN,
  empty: Buffer.alloc(0),
  text: Buffer.from('one\ntwo\r\nthree\r'),
};

/** Starts the server and gives its port. */
async function start(): Promise<number> {
  served = await serve(files);
  return served.server.port;
}

/** Runs a client that writes to a file, and gives what it wrote. */
async function fetched(command: string, argv: (out: string) => string[]): Promise<Buffer> {
  const out = join(directory, `${command}-${Math.random()}`);
  await run(command, argv(out), { timeout: 100_000 });
  return readFile(out);
}

const hpa = (port: number, file: string, mode = 'binary') =>
  fetched('tftp', (out) => ['-m', mode, '127.0.0.1', `${port}`, '-c', 'get', file, out]);
const curl = (port: number, file: string, ...options: string[]) =>
  fetched('curl', (out) => ['-sS', ...options, '-o', out, `tftp://127.0.0.1:${port}/${file}`]);
const atftp = (port: number, file: string, ...options: string[]) =>
  fetched('atftp', (out) => [
    ...options.flatMap((option) => ['--option', option]),
    ...['-g', '-r', file, '-l', out, '127.0.0.1', `${port}`],
  ]);
const busybox = (port: number, file: string, blksize: number) =>
  fetched('busybox', (out) => [
    ...['tftp', '-b', `${blksize}`, '-g', '-r', file, '-l', out],
    ...['127.0.0.1', `${port}`],
  ]);
/** npm tftp emits 'close' before 'end', so its streams are collected by hand. */
const npm = (port: number, file: string, windowSize: number, timeout = 1000) =>
  new Promise<Buffer>((resolve, reject) => {
    const parts: Buffer[] = [];
    const options = { host: '127.0.0.1', port, blockSize: 1468, windowSize, timeout, retries: 20 };
    const stream = tftp.createClient(options).createGetStream(file);
    stream.on('data', (part) => parts.push(part));
    stream.on('end', () => resolve(Buffer.concat(parts)));
    stream.on('error', reject);
  });

describe('a good wire', () => {
  test('tftp-hpa: a kernel, and the end of the protocol', async () => {
    const port = await start();
    expect((await hpa(port, 'boot/kernel')).equals(KERNEL)).toBe(true);
    expect(await hpa(port, 'empty')).toHaveLength(0);
    expect((await hpa(port, 'even')).equals(EVEN)).toBe(true);
    const end = served.events.filter((event) => event.step === 'transfer-end');
    expect(end.map((event) => event.detail?.bytes)).toEqual([KERNEL.length, 0, EVEN.length]);
  });

  test('tftp-hpa: netascii there and back', async () => {
    expect((await hpa(await start(), 'text', 'netascii')).toString()).toBe(files.text.toString());
  });

  test('tftp-hpa: an unknown file', async () => {
    const port = await start();
    const { stdout } = await run('tftp', ['127.0.0.1', `${port}`, '-c', 'get', 'nope', join(directory, 'x')]);
    expect(stdout).toContain('Error code 1');
  });

  test('tftp-hpa: a write is refused', async () => {
    const port = await start();
    const { stdout } = await run('tftp', ['127.0.0.1', `${port}`, '-c', 'put', '/dev/null', 'small']);
    expect(stdout).toContain('Error code 2');
  });

  test('tftp-hpa: more than 65,535 blocks', async () => {
    expect((await hpa(await start(), 'large')).equals(LARGE)).toBe(true);
  });

  test('curl: block sizes from 8 to 65464', async () => {
    const port = await start();
    expect((await curl(port, 'boot/kernel', '--tftp-blksize', '1468')).equals(KERNEL)).toBe(true);
    expect((await curl(port, 'even', '--tftp-blksize', '1024')).equals(EVEN)).toBe(true);
    expect((await curl(port, 'small', '--tftp-blksize', '8')).equals(SMALL)).toBe(true);
    expect((await curl(port, 'small', '--tftp-blksize', '65464')).equals(SMALL)).toBe(true);
    expect((await curl(port, 'small', '--tftp-no-options')).equals(SMALL)).toBe(true);
  });

  test('atftp: blksize, windowsize, tsize and timeout together', async () => {
    const port = await start();
    const options = ['blksize 1468', 'windowsize 16', 'tsize 0', 'timeout 2'];
    expect((await atftp(port, 'boot/kernel', ...options)).equals(KERNEL)).toBe(true);
    expect((await atftp(port, 'even', 'blksize 1024', 'windowsize 64')).equals(EVEN)).toBe(true);
    expect((await atftp(port, 'large', 'windowsize 64')).equals(LARGE)).toBe(true);
  });

  test('busybox: a kernel', async () => {
    expect((await busybox(await start(), 'boot/kernel', 1468)).equals(KERNEL)).toBe(true);
  });

  test('npm tftp: windows', async () => {
    const port = await start();
    expect((await npm(port, 'boot/kernel', 16)).equals(KERNEL)).toBe(true);
    expect((await npm(port, 'even', 1)).equals(EVEN)).toBe(true);
  });

  test('twelve at once', async () => {
    const port = await start();
    const all = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        index % 2 === 0 ? curl(port, 'small') : atftp(port, 'small', 'windowsize 8'),
      ),
    );
    expect(all.every((bytes) => bytes.equals(SMALL))).toBe(true);
  });
});

test('a bad wire: of a hundred packets five are lost and two come twice, and every client gets its file', async () => {
  const port = await start();
  const relays = await Promise.all(
    [1, 2, 3, 4, 5].map((seed) => LossyRelay.open(port, { loss: 0.05, repeat: 0.02 }, seed)),
  );
  const [a, b, c, d, e] = relays.map((relay) => relay.port);
  const all = await Promise.all([
    hpa(a!, 'small'),
    curl(b!, 'small', '--tftp-blksize', '1468'),
    atftp(c!, 'small', 'blksize 1468', 'windowsize 16'),
    busybox(d!, 'small', 1468),
    // Its windows do not recover from loss, whoever serves: after a gap it ignores every later block.
    npm(e!, 'small', 1, 200),
  ]);
  expect(all.map((bytes) => bytes.equals(SMALL))).toEqual([true, true, true, true, true]);
  for (const relay of relays) {
    expect(relay.lost).toBeGreaterThan(0);
    await relay.close();
  }
});

test("repeated packets are not answered with repeated data (Sorcerer's Apprentice)", async () => {
  const port = await start();
  const relay = await LossyRelay.open(port, { loss: 0, repeat: 0.2 });
  const blocks = Math.ceil(SMALL.length / 512);
  expect((await hpa(relay.port, 'small')).equals(SMALL)).toBe(true);
  // 20 % repeated by the wire itself; a server that answers repeated ACKs would double every packet after the first.
  expect(relay.delivered).toBeLessThan(1.35 * blocks);
  await relay.close();
});

test('in a network of its own, on the usual port and any address', async () => {
  served = await serve({});
  const space = await NetworkNamespace.open();
  const { ready } = await startInside(space, await bundle('test/tftp/serve-inside.ts'), ['0.0.0.0', '69']);
  expect(ready).toBe('ready 69');
  await space.check(['ip', 'address', 'add', '10.77.0.1/24', 'dev', 'lo']);
  const out = join(directory, 'inside');
  await space.check(['curl', '-sS', '-o', out, 'tftp://10.77.0.1/kernel']);
  expect((await readFile(out)).equals(SMALL)).toBe(true);
  await space.close();
});

test('a request sent to a closed server finds nobody', async () => {
  const port = await start();
  await served.server.close();
  const probe = await Probe.open();
  probe.read(port, 'small');
  await expect(probe.next(100)).rejects.toThrow('no packet');
  await probe.close();
});
