/** Objects of C files, kept under the hash of what they were made from. Safe to be used by several processes at once. */
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
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
      // Another process may have made it meanwhile.
      if (existsSync(object)) continue;
      const partial = `${object}.${randomUUID()}`;
      await tool(compiler, [...source.flags, '-c', source.file, '-o', partial]);
      renameSync(partial, object);
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

/** Runs a tool of the machine's; rejects with what it printed. */
export async function tool(command: string, args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)(command, args, { maxBuffer: 16 * 1024 * 1024 });
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    throw new Error(`${command} failed: ${stderr || message}`);
  }
}
