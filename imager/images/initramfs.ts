/** The first root file system of a node: the agent as /init, the modules it loads, and what else is asked for. Pure. */
import type { CpioEntry } from './cpio.ts';
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
  /** A static busybox: bin/busybox, and bin/sh for whoever boots with rdinit=/bin/sh. */
  busybox?: Uint8Array;
  /** Other files; their folders are made. */
  added?: readonly AddedFile[];
}

export interface AddedFile {
  /** Relative to the root. */
  path: string;
  content: Uint8Array;
  mode: number;
}

/** The entries of the archive. The same contents give the same entries. */
export function initramfsEntries(contents: InitramfsContents): CpioEntry[] {
  const { agent, kernelVersion, modules, busybox, added = [] } = contents;
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
  if (busybox !== undefined) {
    files.push(
      { path: 'bin/busybox', type: 'file', content: busybox, mode: 0o755 },
      { path: 'bin/sh', type: 'symlink', target: 'busybox' },
    );
  }
  for (const { path, content, mode } of added) files.push({ path, type: 'file', content, mode });
  return [...foldersOf(files), ...files];
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
