/** Programs of the static binary's kind, for this machine: QuickJS, the host module, and an entry of the tests' own. */
import { join } from 'node:path';
import { type AgentArch, type AgentBuild, buildAgent } from '../../agent/quickjs/build.ts';
import { programFolder } from './programs.ts';

/** This machine's processor. */
export const NATIVE: AgentArch = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** Builds the agent, or what is named, and gives its path. It is gone with the run. */
export async function staticProgram(options: Pick<AgentBuild, 'entry' | 'watched'> = {}): Promise<string> {
  const out = join(programFolder(), 'program');
  await buildAgent({ arch: NATIVE, out, ...options });
  return out;
}
