/** The agent as an ordinary process of this machine, on either of its runtimes: `agent supervise ...` as a user starts it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { beforeAll } from 'vitest';
import type { Host } from '../../agent/linux/host.ts';
import { endsWithTest } from './ends-with-test.ts';
import { bundle } from './inside.ts';
import { staticProgram } from './static-program.ts';

export type Runtime = Host['runtime'];
export const RUNTIMES: readonly Runtime[] = ['quickjs', 'node'];

const built = new Map<Runtime, Promise<string[]>>();

/** The words that start the agent on `runtime`; built at the first call of a test file. */
export function agentCommand(runtime: Runtime): Promise<string[]> {
  const command = built.get(runtime) ?? build(runtime);
  built.set(runtime, command);
  return command;
}

/** Has a test file begin with both programs built: where the cache is empty that takes longer than a test has. */
export function buildAgentsFirst(): void {
  beforeAll(async () => {
    await Promise.all(RUNTIMES.map(agentCommand));
  }, 600_000);
}

async function build(runtime: Runtime): Promise<string[]> {
  if (runtime === 'quickjs') return [await staticProgram()];
  return [process.execPath, '--enable-source-maps', await bundle('agent/node/main.ts')];
}

export interface AgentProcess {
  /** Everything it has printed so far, on standard output and standard error. */
  output(): string;
  /** Of that, what was on standard error. */
  complaints(): string;
  kill(signal: NodeJS.Signals): void;
  /** Has it end in order, and resolves with its exit code. */
  end(): Promise<number | null>;
  /** Resolves with its exit code (null where a signal ended it). */
  ended: Promise<number | null>;
}

/**
 * The words that have it supervise the machine whose hardware UID is `uid`, for the imager at `port` of this one. It keeps
 * what it has to keep in the folder `state`.
 */
export function superviseWords(port: number, state: string, uid: string): string[] {
  const file = `${state}.uid`;
  writeFileSync(file, `${uid}\n`);
  return ['supervise', '--imager', `127.0.0.1:${port}`, '--state', state, '--uid-file', file];
}

/** Starts the agent; it ends with the test at the latest. */
export async function startAgent(runtime: Runtime, args: readonly string[]): Promise<AgentProcess> {
  const [file, ...words] = [...(await agentCommand(runtime)), ...args];
  const child = endsWithTest(spawn(file!, words, { stdio: ['ignore', 'pipe', 'pipe'] }));
  let output = '';
  let complaints = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk;
      if (stream === child.stderr) complaints += chunk;
    });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return {
    output: () => output,
    complaints: () => complaints,
    kill: (signal) => void child.kill(signal),
    end: () => {
      child.kill('SIGTERM');
      return ended;
    },
    ended,
  };
}
