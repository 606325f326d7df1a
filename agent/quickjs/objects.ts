/**
 * Objects of C files, kept under the hash of what they were made from. Several processes may want them at once: each object is
 * compiled by one of them, for which the others wait.
 */
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

export interface Source {
  file: string;
  flags: readonly string[];
  /** What its object depends on besides the file, the headers beside it and the flags. */
  inputs: readonly string[];
}

export interface Target {
  arch: string;
  compiler: string;
  /** Where its objects are kept. */
  folder: string;
}

/** Arguments: the object, what it is called until it is finished, its lock, and the compiler with its arguments. */
const COMPILE_ONCE = [
  'object=$1 partial=$2 lock=$3; shift 3',
  'test -e "$object" || { "$@" -o "$partial" && mv "$partial" "$object"; } && rm -f "$lock"',
].join('\n');

/**
 * The objects of `sources`, two compilations at a time for those that are not there; `compiling` is told how many these are, where there
 * are any. Rejects with what the compiler printed.
 */
export async function compileAll(
  target: Target,
  sources: readonly Source[],
  compiling: (count: number) => void,
): Promise<string[]> {
  const { compiler, folder } = target;
  mkdirSync(folder, { recursive: true });
  const all = sources.map((source) => ({ source, object: join(folder, objectName(target, source)) }));
  const missing = all.filter(({ object }) => !existsSync(object));
  if (missing.length > 0) compiling(missing.length);
  const worker = async (): Promise<void> => {
    for (let next = missing.shift(); next !== undefined; next = missing.shift()) {
      const { source, object } = next;
      const lock = `${object}.lock`;
      const names = [object, `${object}.${randomUUID()}`, lock];
      const call = [compiler, ...source.flags, '-c', source.file];
      await tool('flock', [lock, 'sh', '-c', COMPILE_ONCE, 'sh', ...names, ...call], compiler);
    }
  };
  await Promise.all([worker(), worker()]);
  return all.map(({ object }) => object);
}

function objectName({ arch }: Target, { file, flags, inputs }: Source): string {
  const headers = readdirSync(dirname(file)).filter((name) => name.endsWith('.h'));
  const texts = [file, ...headers.map((name) => join(dirname(file), name))].map((path) => readFileSync(path));
  return `${basename(file)}-${hash([arch, ...flags, ...inputs, ...texts])}.o`;
}

export function hash(parts: readonly (string | Uint8Array)[]): string {
  const state = createHash('sha256');
  for (const part of parts) state.update(part).update('\0');
  return state.digest('hex').slice(0, 16);
}

/** Runs a tool of the machine's; rejects with what it printed. `name`: what it is to be called then, where it runs another one. */
export async function tool(command: string, args: readonly string[], name = command): Promise<void> {
  try {
    await promisify(execFile)(command, args, { maxBuffer: 16 * 1024 * 1024 });
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    throw new Error(`${name} failed: ${stderr || message}`);
  }
}
