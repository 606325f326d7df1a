/** Programs of the static binary's kind, for this machine: QuickJS, the host module, and an entry of the tests' own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type AgentBuild, buildAgent } from '../../agent/quickjs/build.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';

/** Builds the agent, or what is named, and gives its path. It is gone with the run. */
export async function staticProgram(options: Pick<AgentBuild, 'entry' | 'watched'> = {}): Promise<string> {
  const folder = mkdtempSync(join(process.env.BOOTWRIGHT_PROGRAMS ?? projectFile('build'), 'static-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const out = join(folder, 'program');
  await buildAgent({ arch: process.arch === 'arm64' ? 'arm64' : 'amd64', out, ...options });
  return out;
}
