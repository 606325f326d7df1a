/** What goes wrong below a server and beside it: the client is told the right number, the log why, nothing is lost. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { pino } from 'pino';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { projectFile } from '../../../firmware-stubs/rig/project.ts';
import { Disks } from '../../../imager/disks/catalog.ts';
import { bundle } from '../../support/inside.ts';
import { SmallDisk } from '../../support/small-disk.ts';
import { FLUSH, RawClient, READ, request, WRITE } from '../raw-client.ts';
import { Victim } from './victim.ts';

const { EIO, ENOSPC } = constants.errno;
const MIB = 2 ** 20;
const SIZE = 16 * MIB;
const PIECE = 64 * 1024;

let program: string;
let library: string;
/** A store with base "b" and disk "n1", for each test anew. */
let dir: string;

beforeAll(async () => {
  program = await bundle('test/nbd/proofs/server.ts');
  library = join(dirname(program), 'fault.so');
  const source = join(import.meta.dirname, 'fault.c');
  execFileSync('gcc', ['-O2', '-shared', '-fPIC', '-Wall', '-Werror', source, '-o', library]);
});

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'nbd-faults-'));
  writeFileSync(join(dir, 'image'), Buffer.alloc(SIZE, 'base'));
  const disks = await Disks.open({ dir, log: pino({ level: 'silent' }) });
  await disks.addBase('b', join(dir, 'image'));
  await disks.create('n1', 'b');
  await disks.close();
  return () => rmSync(dir, { recursive: true });
});

/** What `imager disk check n1` says of the store in `state`, with these words before the command. */
function check(state = dir, enter: string[] = []): string {
  const config = join(dir, 'imager.yaml');
  writeFileSync(config, `state: ${state}\ncluster: c\nnetwork: { address: 10.77.0.1, prefix: 24 }\n`);
  const imager = [process.execPath, projectFile('dist/imager/cli/main.js')];
  const [command, ...args] = [...enter, ...imager, 'disk', 'check', 'n1', '--config', config];
  const { status, stdout, stderr } = spawnSync(command!, args, { encoding: 'utf8' });
  return `${stdout}${stderr}exit ${status}`;
}

const GOOD = /^n1 is good: [\s\S]*\nexit 0$/;

const bytesOf = (fill: number): Buffer => Buffer.alloc(PIECE, `piece ${fill} `);

/** Error number of a write of piece `fill` at place `at` (in pieces); 0: acknowledged. */
async function write(client: RawClient, at: number, fill: number): Promise<number> {
  client.send(request({ type: WRITE, offset: at * PIECE, payload: bytesOf(fill) }));
  return (await client.reply()).error;
}

async function flush(client: RawClient): Promise<number> {
  client.send(request({ type: FLUSH }));
  return (await client.reply()).error;
}

async function read(client: RawClient, at: number): Promise<{ error: number; data: Buffer }> {
  client.send(request({ type: READ, offset: at * PIECE, length: PIECE }));
  return client.reply(PIECE);
}

async function expectPieces(client: RawClient, fills: number[]): Promise<void> {
  for (const [at, fill] of fills.entries()) {
    const { error, data } = await read(client, at);
    expect([at, error, data.equals(bytesOf(fill))]).toEqual([at, 0, true]);
  }
}

test('full file system: ENOSPC, what is there stays and is read, and with room writes go on', async () => {
  const state = join(dir, 'small');
  mkdirSync(state);
  const small = await SmallDisk.over(state, 26 * MIB);
  for (const folder of ['bases', 'disks'])
    cpSync(join(dir, folder), join(small.here, folder), { recursive: true });
  // A file's times are part of what a base is known by: it is verified when it is used first.
  writeFileSync(join(small.here, 'ballast'), Buffer.alloc(4 * MIB));
  let victim = await Victim.start(program, state, { enter: small.enter });
  let client = await RawClient.attach(victim.port, 'n1');
  const fills: number[] = [];
  let error = 0;
  while (error === 0 && fills.length < SIZE / PIECE) {
    error = await write(client, fills.length, fills.length + 1000);
    if (error === 0) fills.push(fills.length + 1000);
  }
  expect(error).toBe(ENOSPC);
  expect(fills.length).toBeGreaterThan(20);
  expect(await flush(client)).toBe(0);
  await expectPieces(client, fills);
  // Nor does trying again harm anything.
  for (let i = 0; i < 20; i++) expect(await write(client, fills.length + i, 1)).toBe(ENOSPC);
  await victim.kill();
  victim = await Victim.start(program, state, { enter: small.enter });
  client = await RawClient.attach(victim.port, 'n1');
  await expectPieces(client, fills);
  rmSync(join(small.here, 'ballast'));
  for (let i = 0; i < 20; i++) {
    expect(await write(client, fills.length, fills.length + 2000)).toBe(0);
    fills.push(fills.length + 2000);
  }
  expect(await flush(client)).toBe(0);
  await victim.kill();
  victim = await Victim.start(program, state, { enter: small.enter });
  await expectPieces(await RawClient.attach(victim.port, 'n1'), fills);
  expect(victim.text).not.toMatch(/damaged/);
  await victim.stop();
  expect(check(state, small.enter)).toMatch(GOOD);
  await small.close();
});

/** A server whose calls fail while `fault` is told their names. */
async function faulty(): Promise<{ victim: Victim; fault: (calls: string) => void }> {
  const control = join(dir, 'fault');
  const env = { LD_PRELOAD: library, BOOTWRIGHT_FAULT: control, UV_USE_IO_URING: '0' };
  return {
    victim: await Victim.start(program, dir, { env }),
    fault: (calls) => writeFileSync(control, calls),
  };
}

test('EIO where a block is read or written: that request fails, the others do not', async () => {
  const { victim, fault } = await faulty();
  const client = await RawClient.attach(victim.port, 'n1');
  const fills = [1, 2, 3, 4];
  for (const [at, fill] of fills.entries()) expect(await write(client, at, fill)).toBe(0);
  expect(await flush(client)).toBe(0);
  fault('pread');
  expect((await read(client, 1)).error).toBe(EIO);
  // What is the base's does not come from there.
  expect((await read(client, 100)).data.toString('latin1', 0, 8)).toBe('basebase');
  fault('');
  await expectPieces(client, fills);
  fault('pwrite');
  expect(await write(client, 2, 99)).toBe(EIO);
  fault('');
  await expectPieces(client, fills);
  expect(victim.text).toMatch(/EIO/);
  await victim.kill();
  const after = await Victim.start(program, dir);
  await expectPieces(await RawClient.attach(after.port, 'n1'), fills);
  await after.stop();
});

test('EIO of a flush: no later flush or write claims success, and what was flushed before is there', async () => {
  const { victim, fault } = await faulty();
  const client = await RawClient.attach(victim.port, 'n1');
  for (const at of [0, 1, 2]) expect(await write(client, at, at + 10)).toBe(0);
  expect(await flush(client)).toBe(0);
  expect(await write(client, 2, 77)).toBe(0);
  fault('fdatasync');
  expect(await flush(client)).toBe(EIO);
  fault('');
  expect(await flush(client)).toBe(EIO);
  expect(await write(client, 5, 1)).toBe(EIO);
  expect((await read(client, 0)).error).toBe(0);
  await victim.said(/n1: a flush failed, no more writes/);
  await victim.kill();
  expect(check()).toMatch(GOOD);
  const after = await Victim.start(program, dir);
  const again = await RawClient.attach(after.port, 'n1');
  await expectPieces(again, [10, 11]);
  const { error, data } = await read(again, 2);
  expect([error, data.equals(bytesOf(12)) || data.equals(bytesOf(77))]).toEqual([0, true]);
  expect(await write(again, 3, 13)).toBe(0);
  expect(await flush(again)).toBe(0);
  await after.stop();
});

test('the base changes under a disk in use: EIO at once, and a word why; later the disk does not open', async () => {
  const victim = await Victim.start(program, dir);
  const client = await RawClient.attach(victim.port, 'n1');
  expect(await write(client, 0, 1)).toBe(0);
  expect((await read(client, 3)).error).toBe(0);
  const image = join(dir, 'bases', 'b.img');
  chmodSync(image, 0o644);
  writeFileSync(image, 'other', { flag: 'r+' });
  const deadline = performance.now() + 10_000;
  while ((await read(client, 3)).error === 0 && performance.now() < deadline) await setTimeout(20);
  expect((await read(client, 3)).error).toBe(EIO);
  expect(await write(client, 4, 1)).toBe(EIO);
  await victim.said(/base image \\"b\\" was changed while it is in use/);
  // What was acknowledged is the disk's own: it is kept.
  expect(await flush(client)).toBe(0);
  await victim.kill();
  let after = await Victim.start(program, dir);
  await expect(RawClient.attach(after.port, 'n1')).rejects.toThrow('base image "b" was changed');
  await after.said(
    /"why":"base image \\"b\\" was changed: its content is not what was added; adding the same image again puts it back"/,
  );
  await after.kill();
  writeFileSync(image, 'baseb', { flag: 'r+' });
  after = await Victim.start(program, dir);
  await expectPieces(await RawClient.attach(after.port, 'n1'), [1]);
  await after.stop();
});

test('two servers on one disk: the second one refuses it and says why, the first one is not disturbed', async () => {
  const first = await Victim.start(program, dir);
  const client = await RawClient.attach(first.port, 'n1');
  expect(await write(client, 0, 1)).toBe(0);
  const second = await Victim.start(program, dir);
  const why = 'disk "n1" is in use by another process of this machine';
  await expect(RawClient.attach(second.port, 'n1')).rejects.toThrow(why);
  await second.said(
    /"step":"refused"[^\n]*"why":"disk \\"n1\\" is in use by another process of this machine"/,
  );
  expect(check()).toMatch(/disk "n1" is in use: stop whoever has it first\nexit [1-9]/);
  expect(await write(client, 1, 2)).toBe(0);
  expect(await flush(client)).toBe(0);
  // A kill frees the disk at once.
  await first.kill();
  await expectPieces(await RawClient.attach(second.port, 'n1'), [1, 2]);
  await second.stop();
});
