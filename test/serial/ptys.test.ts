/** `imager serial` as it is run, on real ptys through npm serialport, against simulated nodes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { PointerStore } from '../../agent/protocol/pointer/store.ts';
import { ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { openPort } from '../../imager/serial/port.ts';
import { endsWithTest } from '../support/ends-with-test.ts';
import type { Ended } from '../support/imager-verbs.ts';
import { bundle } from '../support/inside.ts';
import { attachNode, Cable, runImager } from './pty-lines.ts';

// Generous: the machine may be busy with other tests.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

const UIDS = Array.from({ length: 8 }, (_, i) => `0f9d1c3a-5d0e-4a52-9d3e-1b5b0a1f000${i + 1}`);
const CONFIG = [
  'state: state',
  'cluster: demo',
  'network: { address: 10.77.0.1, prefix: 24, pool: { from: 10.77.0.10, to: 10.77.0.50 } }',
  'nodes:',
  ...UIDS.map((uid, i) => `  - { name: n${i + 1}, uid: ${uid} }`),
  '',
].join('\n');

let program: string;
let dir: string;
const cables: Cable[] = [];

beforeAll(async () => {
  program = await bundle('imager/cli/main.ts');
  dir = mkdtempSync(join(tmpdir(), 'ptys-'));
  writeFileSync(join(dir, 'imager.yaml'), CONFIG);
});
afterEach(async () => {
  await Promise.all(cables.splice(0).map((cable) => cable.close()));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function plug(name: string): Promise<Cable> {
  const cable = await Cable.plug(dir, name);
  cables.push(cable);
  return cable;
}

function imager(...args: string[]): Promise<Ended> {
  return runImager(program, dir, args);
}

function pointerIn(image: Uint8Array) {
  return new PointerStore(ubootEnv, { read: (at, n) => image.slice(at, at + n), write() {} }).read().pointer;
}

const TARGET = ['--image', 'debian-12', '--disk', '{node}-root'];

test('flash, verify, show, recover; each write is on record before and after', async () => {
  const cable = await plug('a');
  const image = new Uint8Array(ubootEnv.size);
  attachNode(cable, { uid: UIDS[0]!, image });
  const at = ['--port', cable.near];

  const planned = await imager('flash', ...at, ...TARGET, '--dry-run');
  expect(planned).toMatchObject({ code: 0, stdout: expect.stringMatching(/^would be written\n/) });
  expect(image.every((byte) => byte === 0)).toBe(true);

  const flashed = await imager('flash', ...at, ...TARGET);
  expect(flashed.stderr.split('\n').map((line) => line.replace(/ \d+ %$/, ''))).toEqual(
    ['waiting for an answer', `found ${UIDS[0]}`, 'reading', 'writing', 'sending', 'checking', 'verified']
      .concat('done')
      .map((step) => `${cable.near}: ${step}`)
      .concat(''),
  );
  expect(flashed).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^boot pointer written, read back and verified\n.*disks +- -> n1-root\n/s),
  });
  expect(pointerIn(image)).toMatchObject({ image: 'debian-12', disks: ['n1-root'], imagers: ['10.77.0.1'] });

  const again = await imager('flash', ...at, ...TARGET, '--json');
  expect(JSON.parse(again.stdout)).toMatchObject([{ port: cable.near, ok: true, outcome: 'kept' }]);

  expect(await imager('verify', ...at)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('boot pointer verified'),
  });
  const differs = await imager('verify', ...at, '--image', 'beta');
  expect(differs).toMatchObject({
    code: 10,
    stderr: expect.stringContaining('image is debian-12, not beta'),
  });

  // Both slots gone: what was flashed from here comes back.
  image.fill(0x77);
  const lost = await imager('verify', ...at);
  expect(lost).toMatchObject({ code: 10, stderr: expect.stringContaining('slot 0 is torn; slot 1 is torn') });
  expect((await imager('recover', ...at)).code).toBe(0);
  expect(pointerIn(image)).toMatchObject({ image: 'debian-12', disks: ['n1-root'] });
  const shown = await imager('show', ...at, '--log');
  expect(shown.stdout).toMatch(
    /^pointer +debian-12, deploy\nUID +0f9d.*store +uboot-env, open\n.*bootwright: firmware start\n$/s,
  );

  const trail = readFileSync(join(dir, 'state/serial-audit.jsonl'), 'utf8').trim().split('\n');
  expect(trail.map((line) => JSON.parse(line))).toMatchObject([
    { event: 'begun', port: cable.near, uid: UIDS[0], old: null, new: { image: 'debian-12', sequence: 1 } },
    { event: 'verified', who: expect.stringMatching(/.+@.+/), at: expect.stringMatching(/^\d{4}-.*Z$/) },
    { event: 'begun', old: null },
    { event: 'verified', new: { disks: ['n1-root'] } },
  ]);
});

test('eight ports at once, one pulled half-way: seven verified, one clear error, and the exit code says so', async () => {
  const images = UIDS.map(() => new Uint8Array(ubootEnv.size));
  const ports: string[] = [];
  for (const [i, uid] of UIDS.entries()) {
    const cable = await plug(`rack${i + 1}`);
    ports.push('--port', cable.near);
    let chunks = 0;
    // Six writes follow a hello and a read: at this rate a frame carries 38 bytes.
    const onChunk = () => {
      if (i === 4 && ++chunks === 6) cable.pull();
    };
    attachNode(cable, { uid, image: images[i]!, onChunk });
  }
  const { code, stdout, stderr } = await imager('flash', ...ports, ...TARGET, '--baud', '9600');
  const lines = stdout.trimEnd().split('\n');
  expect(
    lines.filter((line) => /rack(\d) +n\1 +boot pointer written, read back and verified$/.test(line)),
  ).toHaveLength(7);
  expect(lines.filter((line) => /tty-rack5 +- +failed$/.test(line))).toHaveLength(1);
  expect(stderr).toMatch(
    /imager: 1 of 8 ports failed\n {2}\S+tty-rack5: the port is gone: was the cable pulled\? .*\n$/,
  );
  expect(code).toBe(8);
  expect(images.map((image) => pointerIn(image)?.disks[0])).toEqual(
    UIDS.map((_, i) => (i === 4 ? undefined : `n${i + 1}-root`)),
  );
});

test('each failure has its own exit code and words', async () => {
  const cable = await plug('b');
  const at = ['--port', cable.near];
  expect(await imager('show', '--port', join(dir, 'nothing'))).toMatchObject({
    code: 4,
    stderr: expect.stringContaining('there is no port'),
  });
  expect(await imager('show', ...at, '--wait', '1')).toMatchObject({
    code: 6,
    stderr: expect.stringContaining('nothing came within 1 s'),
  });
  const talking = imager('show', ...at, '--wait', '2');
  cable.far.onData(() => cable.far.write(Uint8Array.from({ length: 40 }, (_, i) => 0x80 | (i * 29))));
  expect(await talking).toMatchObject({
    code: 7,
    stderr: expect.stringContaining('is the baud rate right?'),
  });
  expect(await imager('flash', ...TARGET)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('name a port with --port'),
  });

  const both = ['--port', cable.near, '--port', '/dev/other'];
  expect(await imager('flash', ...both, '--image', 'a', '--disk', 'root')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('disk root for 2 nodes'),
  });

  const locked = await plug('c');
  attachNode(locked, { uid: UIDS[2]!, locked: true });
  expect(await imager('flash', '--port', locked.near, ...TARGET)).toMatchObject({
    code: 9,
    stderr: expect.stringContaining('locked'),
  });
  const unknown = await imager('flash', '--port', locked.near, '--image', 'a', '--disk', '{name}');
  expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('no {name}') });

  const held = await openPort(locked.near, 115_200);
  try {
    expect(await imager('show', '--port', locked.near)).toMatchObject({
      code: 5,
      stderr: expect.stringContaining(`is in use by process ${process.pid}`),
    });
    // And by the kernel's lock, where no lock file tells.
    const name = realpathSync(locked.near).replace('/dev/', '').replaceAll('/', '_');
    rmSync(`/run/lock/LCK..${name}`, { force: true });
    expect(await imager('show', '--port', locked.near)).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('is in use by another program'),
    });
  } finally {
    await held.close();
  }
});

test('the console: both ways, frames left out, a log, Ctrl-] leaves', async () => {
  const cable = await plug('d');
  const log = join(dir, 'console.log');
  const typed: number[] = [];
  cable.far.onData((bytes) => typed.push(...bytes));
  const args = [program, 'serial', 'console', '--port', cable.near, '--log', log];
  const child = endsWithTest(spawn(process.execPath, args, { cwd: dir }));
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += chunk;
  });
  await once(child.stderr, 'data');
  cable.far.write(Buffer.from('U-Boot 2023.01\r\n\0\xf5\x01\0=> ', 'latin1'));
  await vi.waitFor(() => expect(said).toContain('=> '), { timeout: 30_000 });
  child.stdin.write('reset\r');
  await vi.waitFor(() => expect(Buffer.from(typed).toString()).toBe('reset\r'), { timeout: 30_000 });
  child.stdin.write('\x1d');
  const [code] = await once(child, 'exit');
  expect(code).toBe(0);
  expect(said).toBe('U-Boot 2023.01\r\n\x01=> ');
  expect(readFileSync(log, 'utf8')).toBe(said);
});

test.each([
  ['a folder that is not there', '/nonexistent/console.log', /^imager: the log cannot be written: ENOENT/],
  ['a disk that is full', '/dev/full', /\nimager: the log cannot be written: ENOSPC/],
])(
  'a console whose log cannot be written, %s: an error, and the port is free again',
  async (_what, log, words) => {
    const cable = await plug('e');
    const name = realpathSync(cable.near).replace('/dev/', '').replaceAll('/', '_');
    const args = [program, 'serial', 'console', '--port', cable.near, '--log', log];
    const child = endsWithTest(spawn(process.execPath, args, { cwd: dir }));
    let said = '';
    child.stderr.on('data', (chunk) => {
      if (said === '') cable.far.write(Buffer.from('U-Boot 2023.01\r\n'));
      said += chunk;
    });
    const [code] = await once(child, 'close');
    expect(said).toMatch(words);
    expect(said).not.toContain('    at ');
    expect(code).toBe(1);
    expect(existsSync(`/run/lock/LCK..${name}`)).toBe(false);
  },
);
