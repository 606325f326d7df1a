/** The agent as an ordinary process of this machine, on either of its runtimes: `agent supervise ...` as a user starts it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../../agent/linux/host.ts';
import { type AgentArch, buildAgent } from '../../agent/quickjs/build.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { endsWithTest } from './ends-with-test.ts';
import { bundle } from './inside.ts';

export type Runtime = Host['runtime'];
export const RUNTIMES: readonly Runtime[] = ['quickjs', 'node'];

const ARCH: AgentArch = process.arch === 'arm64' ? 'arm64' : 'amd64';
const built = new Map<Runtime, Promise<string[]>>();

/** The words that start the agent on `runtime`; built at the first call of a test file. */
export function agentCommand(runtime: Runtime): Promise<string[]> {
  const command = built.get(runtime) ?? build(runtime);
  built.set(runtime, command);
  return command;
}

async function build(runtime: Runtime): Promise<string[]> {
  if (runtime === 'node')
    return [process.execPath, '--enable-source-maps', await bundle('agent/node/main.ts')];
  const folder = mkdtempSync(join(process.env.BOOTWRIGHT_PROGRAMS ?? projectFile('build'), 'agent-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const out = join(folder, 'agent');
  await buildAgent({ arch: ARCH, out });
  return [out];
}

export interface AgentProcess {
  pid: number;
  /** Everything it has printed so far, on standard output and standard error. */
  output(): string;
  /** Of that, what was on standard error. */
  complaints(): string;
  kill(signal: NodeJS.Signals): void;
  /** Resolves with its exit code (null where a signal ended it). */
  ended: Promise<number | null>;
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
  return {
    pid: child.pid!,
    output: () => output,
    complaints: () => complaints,
    kill: (signal) => void child.kill(signal),
    ended: once(child, 'close').then(([code]) => code as number | null),
  };
}
