/** The agent's relay as a program of its own, between two sockets of the test's. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join, resolve } from 'node:path';

// Two folders up also from where benches are bundled to.
const ROOT = resolve(import.meta.dirname, '../..');
const SOURCES = join(ROOT, 'agent/quickjs');
const FILES = [
  join(ROOT, 'test/packs/relay-main.c'),
  ...['relay.c', 'pack.c', 'stream.c'].map((name) => join(SOURCES, name)),
];

/** With the compiler's checks of addresses and of undefined behaviour, or as the agent has it. */
const BUILDS = {
  checked: '-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all',
  fast: '-O2',
};

/** Compiled once for each state of its sources. */
function program(build: keyof typeof BUILDS): string {
  const headers = ['console.h', 'relay.h', 'pack.h', 'stream.h'].map((name) => join(SOURCES, name));
  const hash = createHash('sha256').update(BUILDS[build]);
  for (const file of [...FILES, ...headers]) hash.update(readFileSync(file));
  const folder = join(ROOT, 'build/cache/relay');
  const path = join(folder, hash.digest('hex').slice(0, 16));
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const partial = `${path}.${process.pid}`;
  const flags = `${BUILDS[build]} -std=gnu11 -D_GNU_SOURCE -Wall -Wextra`;
  execFileSync('gcc', [...flags.split(' '), '-I', SOURCES, ...FILES, '-o', partial]);
  renameSync(partial, path);
  return path;
}

export interface RelayProgram {
  process: ChildProcess;
  kernel: Socket;
  imager: Socket;
  give(pack: Uint8Array): void;
  /** Its exit code and what it printed. */
  ended: Promise<{ code: number | null; output: string }>;
}

/** Starts the relay of a disk of `size` bytes, which waits until it is given its pack. */
export function startRelay(
  size: number,
  patience = 1000,
  build: keyof typeof BUILDS = 'checked',
): RelayProgram {
  const child = spawn(program(build), [String(size), String(patience)], {
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
    // The end of the process is what frees its memory.
    env: { ASAN_OPTIONS: 'detect_leaks=0' },
  });
  child.stdin!.on('error', () => {});
  const output: Buffer[] = [];
  child.stdout!.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr!.on('data', (chunk: Buffer) => output.push(chunk));
  const [kernel, imager] = [child.stdio[3] as Socket, child.stdio[4] as Socket];
  for (const socket of [kernel, imager]) socket.on('error', () => {});
  const ended = new Promise<{ code: number | null; output: string }>((done) =>
    child.once('close', (code) => done({ code, output: Buffer.concat(output).toString() })),
  );
  return { process: child, kernel, imager, ended, give: (pack) => void child.stdin!.end(pack) };
}
