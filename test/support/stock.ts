/** What whole boots start from, built once into build/test and shared by all test files. */
import { buildAgent } from '../../agent/quickjs/build.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import type { Rig } from '../../firmware-stubs/rig/qemu.ts';
import { buildBaseDisk } from '../../imager/images/base-disk.ts';
import type { Architecture } from '../../imager/images/image.ts';
import { buildBootFiles } from '../../imager/images/recipe.ts';

export interface Stock {
  arch: Architecture;
  kernel: string;
  initrd: string;
  args: string;
  /** Raw image of the base disk. */
  base: string;
}

export const ARCHITECTURE: Record<Rig, Architecture> = { arm64: 'arm64', x86: 'amd64' };

/** Boot files and base disk for a rig. Downloads on first use; every builder below can run several times at once. */
export async function stockFor(rig: Rig): Promise<Stock> {
  const arch = ARCHITECTURE[rig];
  const outDir = projectFile(`build/test/${arch}`);
  const cacheDir = projectFile('build/cache');
  const agent = `${outDir}/agent`;
  await buildAgent({ arch, out: agent });
  const { kernel, initrd, args } = await buildBootFiles({ arch, agent, cacheDir, outDir });
  const { file } = await buildBaseDisk({ arch, cacheDir });
  return { arch, kernel, initrd, args, base: file };
}
