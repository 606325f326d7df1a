/** The clients people use, in a network namespace of their own, against a server with a real store. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { NetworkNamespace } from '../../firmware-stubs/rig/namespace.ts';
import { Disks } from '../../imager/disks/catalog.ts';
import { bundle, startInside } from '../support/inside.ts';

/** The distribution's own, which python3-libnbd is for; another may come first in PATH. */
const PYTHON = '/usr/bin/python3';
const MIB = 2 ** 20;
const SIZE = 40 * MIB;
const image = randomBytes(SIZE);
image.fill(0, 8 * MIB, 30 * MIB);

let dir: string;
let program: string;
let space: NetworkNamespace;
let uri: string;
let stop: () => Promise<string>;

/** Starts the server and sets `uri` and `stop`, which ends it in order and gives what it printed. */
async function serve(): Promise<void> {
  const { child, ready, output } = await startInside(space, program, [dir]);
  const [, port, pid] = ready.split(' ');
  uri = `nbd://127.0.0.1:${port}`;
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  stop = async () => {
    await space.check(['kill', '-TERM', pid!]);
    await ended;
    return output();
  };
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'nbd-clients-'));
  program = await bundle('test/nbd/serve.ts');
  writeFileSync(join(dir, 'image'), image);
  const disks = await Disks.open({ dir, log: pino({ level: 'silent' }) });
  await disks.addBase('b', join(dir, 'image'));
  for (const name of ['info', 'copy', 'fio', 'io', 'map', 'map2', 'sh', 'r1', 'r2'])
    await disks.create(name, 'b');
  await disks.close();
  space = await NetworkNamespace.open();
  await serve();
});

afterAll(async () => {
  await stop();
  await space.close();
  rmSync(dir, { recursive: true });
});

beforeEach(() => expect(uri).toBeDefined());

test('nbdinfo: what an export is, and all of them', async () => {
  const info = JSON.parse(await space.check(['nbdinfo', '--json', `${uri}/info`])) as {
    exports: Record<string, unknown>[];
  };
  expect(info.exports[0]).toMatchObject({
    'export-name': 'info',
    'export-size': SIZE,
    is_read_only: false,
    can_flush: true,
    can_fua: true,
    can_trim: true,
    can_zero: true,
    can_multi_conn: true,
    can_cache: true,
    can_df: true,
    can_fast_zero: true,
    block_size_minimum: 1,
    block_size_preferred: 4096,
    block_size_maximum: 32 * MIB,
  });
  const list = JSON.parse(await space.check(['nbdinfo', '--list', '--json', uri])) as {
    exports: Record<string, unknown>[];
  };
  expect(list.exports.map((one) => one['export-name'])).toEqual([
    'copy',
    'fio',
    'info',
    'io',
    'map',
    'map2',
    'r1',
    'r2',
    'sh',
    'base:b',
  ]);
  const unknown = await space.run(['qemu-img', 'info', `${uri}/nothing`]);
  expect(unknown.code).not.toBe(0);
  expect(unknown.stderr).toContain('no disk "nothing"; there is: copy, fio, info');
});

test('maps: what nbdinfo and qemu-img see of holes, and of what was written', async () => {
  const map = async (context: string, name: string): Promise<unknown[][]> => {
    const text = await space.check(['nbdinfo', `--map=${context}`, '--json', `${uri}/${name}`]);
    const runs = JSON.parse(text) as { offset: number; length: number; type: number }[];
    return runs.map(({ offset, length, type }) => [offset / MIB, length / MIB, type]);
  };
  const holes = [
    [0, 8, 0],
    [8, 22, 3],
    [30, 10, 0],
  ];
  expect(await map('base:allocation', 'base:b')).toEqual(holes);
  expect(await map('base:allocation', 'map')).toEqual(holes);
  await space.check(['qemu-io', '-f', 'raw', `${uri}/map`, '-c', 'write 4m 1m', '-c', 'discard 31m 1m']);
  expect(await map('x-bootwright:dirty', 'map')).toEqual([
    [0, 4, 0],
    [4, 1, 1],
    [5, 26, 0],
    [31, 1, 1],
    [32, 8, 0],
  ]);
  const [, port] = uri.match(/:(\d+)$/)!;
  const options = `driver=nbd,host=127.0.0.1,port=${port},export=map,x-dirty-bitmap=x-bootwright:dirty`;
  const seen = await space.check(['qemu-img', 'map', '--output=json', '--image-opts', options]);
  // qemu shows the flag of this context as "no data".
  expect(
    (JSON.parse(seen) as { start: number; data: boolean }[]).map(({ start, data }) => [start / MIB, data]),
  ).toEqual([
    [0, true],
    [4, false],
    [5, true],
    [31, false],
    [32, true],
  ]);
});

test('nbd-client lists the exports', async () => {
  const port = uri.split(':').at(-1)!;
  const output = await space.check(['nbd-client', '-l', '127.0.0.1', port]);
  expect(output).toMatch(/^info$/m);
  expect(output).toMatch(/^base:b$/m);
});

test('nbdcopy: out as it was taken in, in as it was sent, requests of all sizes', async () => {
  const out = join(dir, 'out');
  await space.check(['nbdcopy', `${uri}/copy`, out]);
  expect(readFileSync(out).equals(image)).toBe(true);
  await space.check(['nbdcopy', `${uri}/base:b`, out]);
  expect(readFileSync(out).equals(image)).toBe(true);
  const other = randomBytes(SIZE);
  other.fill(0, MIB, 20 * MIB);
  for (const size of [4096, 32 * MIB]) {
    other.writeUInt32LE(size, 7);
    writeFileSync(join(dir, 'in'), other);
    const how = ['--connections=4', `--request-size=${size}`];
    await space.check(['nbdcopy', '--flush', ...how, join(dir, 'in'), `${uri}/copy`]);
    await space.check(['nbdcopy', ...how, `${uri}/copy`, out]);
    expect(readFileSync(out).equals(other)).toBe(true);
  }
});

test('qemu-io and qemu-img: patterns at odd places, zeroes, trim, many at once', async () => {
  const io = async (...commands: string[]): Promise<string> =>
    space.check(['qemu-io', '-f', 'raw', `${uri}/io`, ...commands.flatMap((command) => ['-c', command])]);
  await io(
    'write -P 0xab 1000 3000',
    'write -f -P 0xcd 1m 128k',
    'write -z 2m 100k',
    'write -z -u 3m 1m',
    'discard 512k 64k',
    'aio_write -P 0x11 5m 64k',
    'aio_write -P 0x22 5184k 64k',
    'aio_write -P 0x33 5248k 1m',
    'aio_flush',
    'flush',
  );
  const output = await io(
    'read -P 0xab 1000 3000',
    'read -P 0xcd 1m 128k',
    'read -P 0 2m 100k',
    'read -P 0 3m 1m',
    'read -P 0 512k 64k',
    'read -P 0x11 5m 64k',
    'read -P 0x22 5184k 64k',
    'read -P 0x33 5248k 1m',
  );
  expect(output).not.toContain('Pattern verification failed');
  expect(output.match(/^read \d+/gm)).toHaveLength(8);
  await space.check(['qemu-img', 'convert', '-f', 'raw', '-O', 'raw', `${uri}/info`, join(dir, 'converted')]);
  expect(readFileSync(join(dir, 'converted')).equals(image)).toBe(true);
  await space.check(['qemu-img', 'compare', '-f', 'raw', '-F', 'raw', `${uri}/base:b`, join(dir, 'image')]);
});

test('libnbd from Python: flags, errors, and a hundred commands in flight', async () => {
  const script = `
import errno, nbd
h = nbd.NBD()
h.connect_uri("${uri}/sh")
assert h.get_protocol() == "newstyle-fixed" and h.get_structured_replies_negotiated()
h.pwrite(b"fua" * 1000, 5000, nbd.CMD_FLAG_FUA)
assert h.pread(3000, 5000) == b"fua" * 1000
h.zero(3000, 5000, nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FUA)
assert h.pread(3000, 5000) == bytes(3000)
h.trim(8192, 0, nbd.CMD_FLAG_FUA)
h.flush()
h.set_strict_mode(0)
for call, number in (
    (lambda: h.pread(512, ${SIZE}), errno.EINVAL),
    (lambda: h.pwrite(bytes(512), ${SIZE} - 1), errno.ENOSPC),
    (lambda: h.trim(512, ${SIZE}), errno.EINVAL),
    (lambda: h.zero(512, 0, nbd.CMD_FLAG_FAST_ZERO), errno.ENOTSUP),
    (lambda: h.zero(8192, 0, nbd.CMD_FLAG_FAST_ZERO | nbd.CMD_FLAG_NO_HOLE), errno.ENOTSUP),
    (lambda: h.cache(512, ${SIZE}), errno.EINVAL),
    (lambda: h.block_status(512, 0, lambda *a: 0), errno.EINVAL),
):
    try:
        call()
        raise SystemExit("not refused")
    except nbd.Error as error:
        assert error.errnum == number, error
h.zero(8192, 4096, nbd.CMD_FLAG_FAST_ZERO)
h.cache(${SIZE}, 0)
h.pread_structured(65536, 0, lambda *a: 0, nbd.CMD_FLAG_DF)
buffers = [nbd.Buffer.from_bytearray(bytearray([i]) * 4096) for i in range(100)]
cookies = [h.aio_pwrite(buffers[i], i * 10000) for i in range(100)]
while h.aio_in_flight() > 0:
    h.poll(-1)
for c in cookies:
    assert h.aio_command_completed(c)
for i in range(100):
    assert h.pread(4096, i * 10000) == bytes([i]) * 4096
h.shutdown()
m = nbd.NBD()
m.add_meta_context("base:allocation")
m.add_meta_context("x-bootwright:dirty")
m.add_meta_context("x-nobody:knows")
m.connect_uri("${uri}/map2")
assert not m.can_meta_context("x-nobody:knows")
m.pwrite(b"x" * 4096, 12 * 2**20)
m.trim(2**20, 0)
seen = {}
def note(context, offset, entries, error):
    seen[context] = entries
m.block_status(${SIZE}, 0, note)
M = 2**20
assert seen["base:allocation"] == [M, 3, 7 * M, 0, 4 * M, 3, 4096, 0, 18 * M - 4096, 3, 10 * M, 0], seen
assert seen["x-bootwright:dirty"] == [M, 1, 11 * M, 0, 4096, 1, 28 * M - 4096, 0], seen
m.block_status(${SIZE}, 0, note, nbd.CMD_FLAG_REQ_ONE)
assert seen["base:allocation"] == [M, 3] and seen["x-bootwright:dirty"] == [M, 1], seen
chunks = []
m.pread_structured(6 * M, 7 * M, lambda b, o, s, e: chunks.append((o, len(b), s)))
assert chunks == [(7 * M, M, nbd.READ_DATA), (8 * M, 4 * M, nbd.READ_HOLE), (12 * M, 4096, nbd.READ_DATA),
                  (12 * M + 4096, M - 4096, nbd.READ_HOLE)], chunks
m.shutdown()
o = nbd.NBD()
o.set_request_structured_replies(False)
o.connect_uri("${uri}/map2")
assert o.pread(4096, 12 * M) == b"x" * 4096 and not o.can_df()
o.shutdown()
r = nbd.NBD()
r.connect_uri("${uri}/base:b")
assert r.is_read_only() and r.can_multi_conn()
r.set_strict_mode(0)
try:
    r.pwrite(b"x", 0)
    raise SystemExit("not refused")
except nbd.Error as error:
    assert error.errnum == errno.EPERM, error
print("fine")
`;
  expect(await space.check([PYTHON, '-c', script])).toContain('fine');
});

test('fio: what it wrote at random, with flushes between, reads back', async () => {
  const job = ['--name=j', '--ioengine=nbd', `--uri=${uri}/fio`, '--iodepth=16', '--size=8m', '--bs=4k'];
  const how = ['--rw=randwrite', '--fsync=64', '--verify=crc32c', '--output-format=json'];
  await space.check(['fio', ...job, ...how, '--output=fio.json'], { cwd: dir });
  const report = JSON.parse(readFileSync(join(dir, 'fio.json'), 'utf8')) as {
    jobs: { error: number; read: { total_ios: number }; write: { total_ios: number } }[];
  };
  expect(report.jobs[0]).toMatchObject({ error: 0, read: { total_ios: 2048 }, write: { total_ios: 2048 } });
});

test('two nodes write to disks of one base; the server restarts meanwhile; what was flushed is there', async () => {
  const writer = (name: string, mark: number): string => `
import nbd, sys
h = nbd.NBD()
h.connect_uri("${uri}/${name}")
done = 0
try:
    while True:
        h.pwrite(bytes([${mark}]) * 6000, done * 10000)
        h.flush()
        done += 1
        print(done, flush=True)
        if done == 4000: break
except nbd.Error:
    pass
sys.exit(0)
`;
  const texts = ['', ''];
  const writers = ['r1', 'r2'].map((name, i) => {
    const child = space.spawn([PYTHON, '-c', writer(name, i + 1)]);
    const started = new Promise<void>((resolve) =>
      child.stdout!.on('data', (chunk) => {
        texts[i] += chunk;
        if (texts[i]!.split('\n').length > 10) resolve();
      }),
    );
    return { started, ended: new Promise((resolve) => child.once('close', resolve)) };
  });
  await Promise.all(writers.map(({ started }) => started));
  const said = await stop();
  expect(said).toMatch(/"step":"detach".*"reason":"shutdown"/);
  await Promise.all(writers.map(({ ended }) => ended));
  await serve();
  for (const [i, name] of ['r1', 'r2'].entries()) {
    const done = Number(texts[i]!.trim().split('\n').at(-1));
    expect(done).toBeGreaterThan(9);
    await space.check(['nbdcopy', `${uri}/${name}`, join(dir, name)]);
    const content = readFileSync(join(dir, name));
    for (let at = 0; at < done; at++)
      expect(content.subarray(at * 10000, at * 10000 + 6000).every((byte) => byte === i + 1)).toBe(true);
    const next = Math.min(SIZE, (done + 1) * 10000);
    expect(content.subarray(next).equals(image.subarray(next))).toBe(true);
    for (let at = 0; at < done; at++) {
      const [from, to] = [at * 10000 + 6000, (at + 1) * 10000];
      expect(content.subarray(from, to).equals(image.subarray(from, to))).toBe(true);
    }
  }
});
