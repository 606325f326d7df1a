/** The agent's verbs as a technician calls them: what they print where, and their exit codes. */
import { execFile } from 'node:child_process';
import type { Host } from '../../agent/linux/host.ts';
import { NodeHost } from '../../agent/node/host.ts';
import { runVerb } from '../../agent/verbs/run.ts';
import { agentCommand, type Runtime } from './agent-process.ts';

export interface Ended {
  code: number;
  out: string;
  err: string;
}

/** As a process of its own. */
export async function runAgent(runtime: Runtime, ...args: string[]): Promise<Ended> {
  const [file, ...words] = [...(await agentCommand(runtime)), ...args];
  return new Promise((resolve) =>
    execFile(file!, words, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    ),
  );
}

/** In this process, for what needs none of its own. */
export function verbOn(host: Host, ...args: string[]): Ended {
  const ended: Ended = { code: 0, out: '', err: '' };
  host.print = (line) => {
    ended.out += `${line}\n`;
  };
  host.complain = (line) => {
    ended.err += `${line}\n`;
  };
  ended.code = runVerb(host, args);
  return ended;
}

export function verb(...args: string[]): Ended {
  return verbOn(new NodeHost(), ...args);
}

/** The quickest way on either runtime: a process where it is the static program's, which starts in milliseconds. */
export async function quickVerb(runtime: Runtime, ...args: string[]): Promise<Ended> {
  return runtime === 'node' ? verb(...args) : runAgent(runtime, ...args);
}
