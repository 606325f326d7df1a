/** firmware-stubs/serial, the node's end in C: beside the one in TypeScript, on a noisy line, and fed with garbage. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { crc32 } from '../../agent/protocol/crc32.ts';
import { PointerStore } from '../../agent/protocol/pointer/store.ts';
import { ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { SerialAnswerer } from '../../agent/protocol/serial/answerer.ts';
import { encodeSerialFrame, type SerialFrame, SerialFrameReader } from '../../agent/protocol/serial/frame.ts';
import {
  decodeAnswer,
  encodeRequest,
  type SerialAnswer,
  type SerialRequest,
} from '../../agent/protocol/serial/operations.ts';
import { NoisyLine } from '../../firmware-stubs/simulated/noisy-line.ts';
import type { Line } from '../../imager/serial/port.ts';
import { runOnLine } from '../../imager/serial/run.ts';
import { flash, withNode } from '../../imager/serial/work.ts';
import { Mutator } from '../fuzz/mutate.ts';
import { Random } from '../fuzz/random.ts';
import { serialTarget } from '../fuzz/targets/serial.ts';
import { randomFrom } from './virtual-line.ts';

const SIZE = 8192;
const IDENTITY = { uid: 'serial:c-stub', layout: 'uboot-env', size: SIZE, firmware: 'stub in C' };

let dir: string;
let program: string;
let store: string;
let child: ChildProcess;
let complaints: string;
let ended: Promise<unknown>;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'c-stub-'));
  program = join(dir, 'stub');
  const root = resolve(import.meta.dirname, '../..');
  const room = join(root, 'firmware-stubs/serial');
  const stub = readdirSync(room).filter((name) => name.endsWith('.c'));
  await promisify(execFile)('gcc', [
    ...['-std=c99', '-D_XOPEN_SOURCE=700', '-O1', '-Wall', '-Wextra', '-Werror'],
    ...['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-o', program],
    ...stub.map((name) => join(room, name)),
    join(root, 'test/serial/node-main.c'),
  ]);
});
beforeEach(() => {
  store = join(dir, 'store');
  writeFileSync(store, new Uint8Array(SIZE));
});
afterEach(async () => {
  child.kill('SIGKILL');
  await ended;
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function start(...args: string[]): ChildProcess {
  complaints = '';
  child = spawn(program, [store, ...args]);
  ended = once(child, 'exit');
  child.stdin?.on('error', () => {});
  child.stderr?.on('data', (chunk) => {
    complaints += chunk;
  });
  return child;
}

/** Asks the program, one request at a time. */
function asker() {
  const reader = new SerialFrameReader();
  let resolveNext: (frame: SerialFrame) => void = () => {};
  child.stdout?.on('data', (chunk: Buffer) => {
    for (const item of reader.push(chunk)) if (item.kind === 'frame') resolveNext(item.frame);
  });
  const gone = ended.then(() => Promise.reject(new Error(`the program ended: ${complaints}`)));
  gone.catch(() => {});
  return (bytes: Uint8Array): Promise<SerialFrame> => {
    const next = new Promise<SerialFrame>((done) => {
      resolveNext = done;
    });
    child.stdin?.write(bytes);
    return Promise.race([next, gone]);
  };
}

function meaning(payload: Uint8Array): SerialAnswer | undefined {
  const answer = decodeAnswer(payload);
  // The words are each end's own.
  return answer?.op === 'refused' ? { ...answer, why: '' } : answer;
}

test.each([false, true])('answers as the one in TypeScript does, locked: %s', async (locked) => {
  const random = randomFrom(locked ? 5 : 4);
  const below = (most: number) => Math.floor(random() * most);
  const image = new Uint8Array(SIZE);
  for (let at = 0; at < 600; at++) image[at] = below(4);
  writeFileSync(store, image);
  start(...(locked ? ['locked'] : []));
  const ask = asker();
  const twin = new SerialAnswerer(
    { ...IDENTITY, locked },
    { read: (at, length) => image.slice(at, at + length), write: (at, bytes) => image.set(bytes, at) },
    () => '',
  );
  const memory = new Uint8Array(SIZE);
  const bytes = () => Uint8Array.from({ length: below(200) }, () => below(256));
  const offset = () => (below(8) === 0 ? SIZE - below(20) : below(1200));
  const length = () => (below(8) === 0 ? below(9000) : 1 + below(600));
  const request = (): SerialRequest => {
    switch (below(7)) {
      case 0:
        return {
          op: 'read',
          offset: offset(),
          length: length(),
          most: [0, 1, 512, 513, below(520)][below(5)]!,
        };
      case 1: {
        const literal = bytes();
        return {
          op: 'write',
          offset: offset(),
          run: { bytes: literal, fill: below(256), length: literal.length + below(300) },
        };
      }
      case 2: {
        const size = length();
        return { op: 'verify', length: size, crc: below(4) === 0 ? 1 : crc32(memory.subarray(0, size)) };
      }
      case 3: {
        const size = length();
        return {
          op: 'commit',
          offset: offset(),
          length: size,
          crc: below(8) === 0 ? 1 : crc32(memory.subarray(0, size)),
        };
      }
      case 4:
        return { op: 'log', from: below(100) };
      case 5:
        return { op: 'hello', version: 1 };
      default:
        return { op: 'read', offset: below(600), length: 1 + below(3000), most: 1 + below(512) };
    }
  };
  let opened = 0x101;
  const seen = new Map<string, number>();
  for (let i = 0; i < 2000; i++) {
    const asked: SerialRequest = i === 3 ? { op: 'hello', version: 1 } : request();
    if (below(60) === 0) opened = 0x101 + below(3);
    // Session 0 is none.
    const session = i % 40 === 0 ? 0 : opened;
    const payload = encodeRequest(asked);
    const frame: SerialFrame = { kind: 'request', session, sequence: i & 0xff, payload };
    const answer = await ask(encodeSerialFrame(frame));
    const expected = twin.take(frame)!;
    const [item] = new SerialFrameReader().push(expected.send);
    if (item?.kind !== 'frame') throw new Error('the twin gave no frame');
    expect(answer, `request ${i}: ${asked.op}`).toMatchObject({ session, sequence: i & 0xff });
    const [found, wanted] = [meaning(answer.payload), meaning(item.frame.payload)];
    expect(found, `request ${i}: ${JSON.stringify(asked)}`).toEqual(wanted);
    const kind = wanted?.op === 'refused' ? wanted.code : (wanted?.op ?? 'none');
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
    if (wanted?.op === 'hello') memory.fill(0);
    if (asked.op === 'write' && wanted?.op === 'write') {
      memory.set(asked.run.bytes, asked.offset);
      memory.fill(asked.run.fill, asked.offset + asked.run.bytes.length, asked.offset + asked.run.length);
    }
  }
  // Every kind of answer came often enough to say something.
  const kinds = ['hello', 'read', 'write', 'verify', 'log', 'request', 'mismatch', 'session'];
  for (const kind of [...kinds, locked ? 'locked' : 'commit'])
    expect(seen.get(kind), kind).toBeGreaterThan(20);
  expect(new Uint8Array(readFileSync(store))).toEqual(image);
});

test('is flashed through a line with one byte in a hundred wrong', async () => {
  start();
  const random = randomFrom(11);
  const spoil = () => new NoisyLine({ baud: 115_200, noise: 0.01, random });
  const [there, back] = [spoil(), spoil()];
  const through = (way: NoisyLine, bytes: Uint8Array) => {
    way.put(bytes, 0);
    return Buffer.concat(way.take(Number.POSITIVE_INFINITY));
  };
  const listeners = new Set<(bytes: Uint8Array) => void>();
  child.stdout?.on('data', (chunk: Buffer) => {
    for (const listener of listeners) listener(through(back, chunk));
  });
  for (let i = 0; i < 4; i++) {
    const line: Line = {
      write: (bytes) => child.stdin?.write(through(there, bytes)),
      onData: (listener) => listeners.add(listener),
      onGone: (listener) => void ended.then(() => listener(complaints)),
      close: async () => {},
    };
    const target = { image: `image-${i}`, disks: ['root'], imagers: ['10.77.0.1'], cluster: 'demo' };
    const options = {
      target: () => target,
      deployment: `d${i}`,
      again: false,
      dryRun: false,
      reset: i % 2 === 0,
    };
    const written = await runOnLine(line, {
      task: (state) => withNode(state, { withinMs: 60_000, uboot: false }, (end) => flash(end, options)),
      ...{ baud: 115_200, tell: () => {} },
    });
    listeners.clear();
    expect(written).toMatchObject({
      outcome: 'written',
      identity: { uid: 'serial:c-stub', firmware: 'stub in C' },
    });
    const image = new Uint8Array(readFileSync(store));
    const read = (at: number, length: number) => image.slice(at, at + length);
    expect(new PointerStore(ubootEnv, { read, write() {} }).read().pointer).toMatchObject({
      ...target,
      sequence: i + 1,
    });
  }
  expect(there.wrong + back.wrong).toBeGreaterThan(10);
});

test('100,000 bent packets: it is still there, and its store was not touched beyond its end', async () => {
  start();
  child.stdout?.resume();
  const mutator = new Mutator(serialTarget());
  const random = new Random();
  random.begin(9, 0);
  for (let i = 0; i < 100_000; i++) {
    const packet = mutator.make(random);
    // The right frame around most, as in the fuzz target.
    const whole = packet.length <= 640 && packet.length % 4 !== 0;
    const frame: SerialFrame = {
      kind: 'request',
      session: 7,
      sequence: i & 0xff,
      payload: Uint8Array.from(packet),
    };
    const bytes = whole ? encodeSerialFrame(frame) : Uint8Array.from(packet);
    if (!child.stdin?.write(bytes)) await Promise.race([once(child.stdin!, 'drain'), ended]);
  }
  const ask = asker();
  const hello = encodeRequest({ op: 'hello', version: 1 });
  // A zero ends whatever the last packet began.
  const frame = encodeSerialFrame({ kind: 'request', session: 99, sequence: 1, payload: hello });
  child.stdin?.write(Uint8Array.of(0));
  let answer = await ask(frame);
  while (answer.session !== 99) answer = await ask(frame);
  expect(decodeAnswer(answer.payload)).toMatchObject({ op: 'hello', ...IDENTITY, locked: false });
  expect(complaints).toBe('');
  expect(readFileSync(store).length).toBe(SIZE);
});
