/** What nodes of the QEMU rig boot: Debian's kernel, the agent and a base disk, built once and kept. */
import type { Architecture } from '../../../imager/images/image.ts';
import { projectFile } from '../project.ts';
import type { Rig } from '../qemu.ts';

export interface Stock {
  arch: Architecture;
  kernel: string;
  initrd: string;
  args: string;
  /** Raw image of the base disk. */
  base: string;
}

const ARCHITECTURE: Record<Rig, Architecture> = { arm64: 'arm64', x86: 'amd64' };
/**
 * An emulated processor has no flaws of speculation, and nobody on it to protect memory from: without the guards each boot
 * takes a tenth less of the host's processor.
 */
const UNGUARDED: Record<Architecture, string> = {
  arm64: 'mitigations=off kpti=off nokaslr',
  amd64: 'mitigations=off',
};

const made = new Map<Rig, Promise<Stock>>();

/** Downloads on first use, into $IMAGER_CACHE or build/cache. Scenarios of one process share it. */
export function stockFor(rig: Rig, say: (line: string) => void = () => {}): Promise<Stock> {
  const known = made.get(rig);
  if (known !== undefined) return known;
  const making = make(ARCHITECTURE[rig], say);
  made.set(rig, making);
  return making;
}

/** Builders are loaded only here: they need compilers and esbuild. */
async function make(arch: Architecture, progress: (line: string) => void): Promise<Stock> {
  const [{ buildAgent }, { buildBootFiles }, { buildBaseDisk }] = await Promise.all([
    import('../../../agent/quickjs/build.ts'),
    import('../../../imager/images/recipe.ts'),
    import('../../../imager/images/base-disk.ts'),
  ]);
  const outDir = projectFile(`build/rig/${arch}`);
  const cacheDir = process.env.IMAGER_CACHE ?? projectFile('build/cache');
  const agent = `${outDir}/agent`;
  await buildAgent({ arch, out: agent, progress });
  const { kernel, initrd, args } = await buildBootFiles({ arch, agent, cacheDir, outDir, progress });
  const { file } = await buildBaseDisk({ arch, cacheDir, progress });
  return { arch, kernel, initrd, args: `${args} ${UNGUARDED[arch]}`, base: file };
}
