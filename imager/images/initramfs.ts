/** The first root file system of a node: the agent as /init and the modules it loads. Pure. */
import { type CpioEntry, writeCpio } from './cpio.ts';
import { ElfError, isElf64 } from './elf.ts';
import type { KernelModule } from './modules.ts';

/** Where the agent finds the modules to load: one absolute path a line, in load order. */
const MODULE_LIST = 'etc/bootwright/modules';
const EMPTY_FOLDERS = ['dev', 'etc', 'mnt', 'proc', 'run', 'sys'];

export interface InitramfsContents {
  /** The static agent binary. */
  agent: Uint8Array;
  /** VERSION of lib/modules/VERSION. */
  kernelVersion: string;
  /** In load order. */
  modules: readonly KernelModule[];
}

/** The archive, not compressed. The same contents give the same bytes. Throws ElfError where `agent` is no program. */
export function writeInitramfs({ agent, kernelVersion, modules }: InitramfsContents): Uint8Array {
  if (!isElf64(agent)) throw new ElfError('the agent is not a 64-bit ELF program');
  const base = `lib/modules/${kernelVersion}`;
  const files: CpioEntry[] = modules.map(({ path, content }) => ({
    path: `${base}/${path}`,
    type: 'file',
    content,
  }));
  const list = modules.map(({ path }) => `/${base}/${path}\n`).join('');
  files.push(
    { path: MODULE_LIST, type: 'file', content: new TextEncoder().encode(list) },
    // Opened by the kernel as /init's standard input and output, before anything could make it.
    { path: 'dev/console', type: 'character-device', major: 5, minor: 1 },
    { path: 'init', type: 'file', content: agent, mode: 0o755 },
  );
  return writeCpio([...foldersOf(files), ...files]);
}

function foldersOf(files: readonly CpioEntry[]): CpioEntry[] {
  const folders = new Set(EMPTY_FOLDERS);
  for (const { path } of files) {
    const parts = path.split('/').slice(0, -1);
    parts.forEach((_, index) => {
      folders.add(parts.slice(0, index + 1).join('/'));
    });
  }
  return [...folders].sort().map((path) => ({ path, type: 'directory' }));
}
