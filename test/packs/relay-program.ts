/** The agent's relay as a program of its own, between two sockets of the test's. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const SOURCES = resolve(import.meta.dirname, '../../agent/quickjs');
const QUICKJS = resolve(import.meta.dirname, '../../node_modules/qjsc/deps/quickjs_2021_03_27');
const FILES = [
  join(import.meta.dirname, 'relay-main.c'),
  ...['relay.c', 'pack.c', 'stream.c'].map((name) => join(SOURCES, name)),
];

/** Compiled once for each state of its sources, with the compiler's checks of addresses and of undefined behaviour. */
function program(): string {
  const headers = ['relay.h', 'pack.h', 'stream.h'].map((name) => join(SOURCES, name));
  const hash = createHash('sha256');
  for (const file of [...FILES, ...headers]) hash.update(readFileSync(file));
  const folder = resolve(import.meta.dirname, '../../build/cache/relay');
  const path = join(folder, hash.digest('hex').slice(0, 16));
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const partial = `${path}.${process.pid}`;
  const flags =
    '-g -O1 -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all';
  execFileSync('gcc', [...flags.split(' '), '-I', SOURCES, '-isystem', QUICKJS, ...FILES, '-o', partial]);
  renameSync(partial, path);
  return path;
}

export interface RelayProgram {
  process: ChildProcess;
  kernel: Socket;
  imager: Socket;
  /** Its exit code and what it printed. */
  ended: Promise<{ code: number | null; output: string }>;
}

/** Starts the relay of a disk of `size` bytes with this pack. */
export function startRelay(pack: Uint8Array, size: number, patience = 1000): RelayProgram {
  const file = join(mkdtempSync(join(tmpdir(), 'relay-')), 'pack');
  writeFileSync(file, pack);
  const child = spawn(program(), [file, String(size), String(patience)], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    // The end of the process is what frees its memory.
    env: { ASAN_OPTIONS: 'detect_leaks=0' },
  });
  const output: Buffer[] = [];
  child.stdout!.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr!.on('data', (chunk: Buffer) => output.push(chunk));
  const [kernel, imager] = [child.stdio[3] as Socket, child.stdio[4] as Socket];
  for (const socket of [kernel, imager]) socket.on('error', () => {});
  const ended = new Promise<{ code: number | null; output: string }>((done) =>
    child.once('close', (code) => done({ code, output: Buffer.concat(output).toString() })),
  );
  return { process: child, kernel, imager, ended };
}
