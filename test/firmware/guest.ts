/** Machines without an imager: Debian's kernel, and a program of programs/ as process 1 of an initramfs. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildAgent } from '../../agent/quickjs/build.ts';
import { type CpioEntry, writeCpio } from '../../imager/images/cpio.ts';
import type { DebianPackages } from '../../imager/images/debian.ts';
import { readModules } from '../../imager/images/modules.ts';

export interface GuestOptions {
  packages: DebianPackages;
  /** The package that names the kernel's. */
  kernel: string;
  modules: string[];
  program: string;
  /** What else is to be in the initramfs. */
  entries: readonly CpioEntry[];
}

/** Makes the files in `folder`; gives QEMU's options for them. */
export async function prepareGuest(
  folder: string,
  { packages, kernel, modules: names, program, entries }: GuestOptions,
): Promise<string[]> {
  const [meta] = await packages.fetch([kernel]);
  const [image] = await packages.fetch([/linux-image-[a-z0-9.+-]+/.exec(meta!.depends)![0]]);
  const unpacked = await packages.unpack(image!);
  const release = image!.name.replace('linux-image-', '');
  const modules = await readModules(join(unpacked, 'lib/modules', release), names);
  const init = join(folder, 'init');
  await buildAgent({ arch: 'amd64', out: init, entry: `test/firmware/programs/${program}` });
  const initramfs = join(folder, 'initramfs');
  const order = modules.map(({ name }) => `/modules/${name}.ko`).join('\n');
  writeFileSync(
    initramfs,
    writeCpio([
      ...['dev', 'proc', 'sys', 'modules', 'bin', 'lib', 'lib64'].map(
        (path): CpioEntry => ({ path, type: 'directory' }),
      ),
      { path: 'dev/console', type: 'character-device', major: 5, minor: 1 },
      programEntry('init', init),
      ...modules.map(
        ({ name, content }): CpioEntry => ({ path: `modules/${name}.ko`, type: 'file', content }),
      ),
      { path: 'modules/order', type: 'file', content: Buffer.from(order) },
      ...entries,
    ]),
  );
  return ['-kernel', join(unpacked, 'boot', `vmlinuz-${release}`), '-initrd', initramfs];
}

export function programEntry(path: string, file: string): CpioEntry {
  return { path, type: 'file', mode: 0o755, content: readFileSync(file) };
}
