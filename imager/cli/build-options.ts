/** Options of the verbs that build something. */
import { join, resolve } from 'node:path';
import { Option } from 'commander';
import type { Architecture } from '../images/image.ts';
import type { Context } from './context.ts';

export const ARCHITECTURES: Architecture[] = ['arm64', 'amd64'];

export function architectureOption(): Option {
  return new Option('--arch <arch>', 'architecture of the nodes')
    .choices(ARCHITECTURES)
    .makeOptionMandatory();
}

export function cacheOption(): Option {
  return new Option(
    '--cache <directory>',
    'where downloads are kept (default: $IMAGER_CACHE, or STATE/cache)',
  );
}

/** Whoever can fetch a node's boot files can read it there. */
export function enrolmentKeyOption(): Option {
  return new Option(
    '--enrolment-key <file>',
    'put in the key of agents.enrolmentKey, readable by whoever can fetch the boot files',
  );
}

/** Where builds keep what they download. */
export function cacheDirectory(context: Context, option: string | undefined): string {
  return resolve(option ?? process.env.IMAGER_CACHE ?? join(context.config.state, 'cache'));
}

/** The static agent binary for `arch`, built into the folder `work`: its path. */
export async function buildAgentInto(
  work: string,
  arch: Architecture,
  progress: (line: string) => void,
): Promise<string> {
  const out = join(work, 'agent');
  await buildAgentAt(out, arch, progress);
  return out;
}

/** The same as the file `out`, in the place of what is there. */
export async function buildAgentAt(
  out: string,
  arch: Architecture,
  progress: (line: string) => void,
): Promise<void> {
  // Loaded only here: it needs compilers and esbuild, which a machine that only serves does not have.
  const { buildAgent } = await import('../../agent/quickjs/build.ts');
  await buildAgent({ arch, out, progress });
}
