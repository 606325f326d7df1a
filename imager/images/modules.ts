/**
 * The kernel modules an initramfs needs, in the order to load them. What depends on what is read from the modules
 * themselves (.modinfo), and from modules.dep where there is one: Debian's kernel packages ship none, it is made where
 * they are installed.
 */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, isAbsolute, join } from 'node:path';
import { compressionOf, decompress } from './compression.ts';
import { moduleInfo } from './elf.ts';

export interface KernelModule {
  /** As modprobe knows it: 'virtio_net'. */
  name: string;
  /** Relative to lib/modules/VERSION, without a compression suffix. */
  path: string;
  content: Uint8Array;
}

/** Unpacked. Debian's largest has 5 MB. */
const MAX_MODULE = 64 * 1024 * 1024;

/** A module's name as the kernel writes it, of its file or of what people call it: '-' and '_' are the same. */
export function moduleName(file: string): string {
  return basename(file)
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');
}

/**
 * What to load for `wanted`, each after what it needs, none twice; names in `builtin` need no loading.
 * `needs` gives a module's direct needs, or undefined where there is no such module: then this throws, as it does for a circle.
 */
export function loadOrder(
  wanted: readonly string[],
  builtin: ReadonlySet<string>,
  needs: (name: string) => readonly string[] | undefined,
): string[] {
  const order: string[] = [];
  const visit = (name: string, chain: readonly string[]): void => {
    if (builtin.has(name) || order.includes(name)) return;
    if (chain.includes(name))
      throw new Error(`kernel modules need each other: ${[...chain, name].join(' > ')}`);
    const direct = needs(name);
    if (direct === undefined)
      throw new Error(
        `the kernel has no module ${name}${chain.length === 0 ? '' : ` (for ${chain.join(' > ')})`}`,
      );
    for (const need of direct) visit(need, [...chain, name]);
    order.push(name);
  };
  for (const name of wanted) visit(name, []);
  return order;
}

/** Names a module must have before it: `depends`, then soft dependencies marked `pre:` (modprobe.d(5)). */
export function directNeeds(info: readonly [name: string, value: string][]): {
  hard: string[];
  soft: string[];
} {
  const split = (text: string, by: RegExp) => text.split(by).filter((name) => name !== '');
  const hard = info.filter(([name]) => name === 'depends').flatMap(([, value]) => split(value, /,/));
  const soft = info
    .filter(([name]) => name === 'softdep')
    .flatMap(([, value]) => split(/\bpre:([^:]*?)(?=\s*\bpost:|$)/.exec(value)?.[1] ?? '', /\s+/));
  return { hard: hard.map(moduleName), soft: soft.map(moduleName) };
}

/**
 * Reads `wanted` and all they need from `folder`, a lib/modules/VERSION, in load order, but for what is part of the kernel
 * itself. Soft needs that the kernel does not have are passed over. What is not VERSION's, or leads out of the folder, is refused.
 */
export async function readModules(folder: string, wanted: readonly string[]): Promise<KernelModule[]> {
  const tree = await readTree(folder);
  const found = new Map<string, KernelModule & { needs: string[] }>();
  const pending = [...wanted];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const path = tree.files.get(name);
    if (found.has(name) || tree.builtin.has(name) || path === undefined) continue;
    const content = await readModule(folder, path);
    const info = moduleInfo(content);
    checkRelease(name, info, basename(await realpath(folder)));
    const { hard, soft } = directNeeds(info);
    const needs = [...hard, ...(tree.needs.get(name) ?? []), ...soft.filter((need) => tree.files.has(need))];
    found.set(name, { name, path: path.replace(/\.ko\.\w+$/, '.ko'), content, needs });
    pending.push(...needs);
  }
  return loadOrder(wanted, tree.builtin, (name) => found.get(name)?.needs).map((name) => {
    const { path, content } = found.get(name)!;
    return { name, path, content };
  });
}

interface ModuleTree {
  /** Name to path below the folder. */
  files: Map<string, string>;
  builtin: Set<string>;
  /** What depmod found that a module needs besides what it says itself. */
  needs: Map<string, string[]>;
}

async function readTree(folder: string): Promise<ModuleTree> {
  const paths = (await readdir(folder, { recursive: true })).filter((path) =>
    /\.ko(\.(xz|zst|gz))?$/.test(path),
  );
  // The order in which a folder is read means nothing; depmod takes those in updates/ before others of their name.
  const inOrder = paths.sort((a, b) => Number(isUpdate(a)) - Number(isUpdate(b)) || (a < b ? 1 : -1));
  const files = new Map(inOrder.map((path) => [moduleName(path), path]));
  const needs = new Map<string, string[]>();
  for (const line of await linesOf(join(folder, 'modules.dep'))) {
    const [path = '', ...rest] = line.split(/[:\s]+/).filter(Boolean);
    files.set(moduleName(path), path);
    needs.set(moduleName(path), rest.map(moduleName));
  }
  const builtin = new Set((await linesOf(join(folder, 'modules.builtin'))).map(moduleName));
  return { files, builtin, needs };
}

function isUpdate(path: string): boolean {
  return path.startsWith('updates/');
}

/** None where there is no such file. */
async function linesOf(path: string): Promise<string[]> {
  try {
    return (await readFile(path, 'utf8')).split('\n').filter(Boolean);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** The kernel refuses a module of another release, at a time when nobody can mend that. */
function checkRelease(name: string, info: readonly [string, string][], release: string): void {
  const magic = info.find(([key]) => key === 'vermagic')?.[1].split(' ')[0];
  if (magic !== undefined && magic !== release)
    throw new Error(`kernel module ${name} is for the kernel ${magic}, not for ${release}`);
}

/** Modules are unpacked here: the agent hands them to the kernel as they are. */
async function readModule(folder: string, path: string): Promise<Uint8Array> {
  const [root, file] = await Promise.all([realpath(folder), realpath(join(folder, path))]);
  if (isAbsolute(path) || !file.startsWith(`${root}/`))
    throw new Error(`kernel module ${path} leads out of ${folder}`);
  const { size } = await stat(file);
  if (size > MAX_MODULE) throw new Error(`kernel module ${path} has ${size} bytes, more than ${MAX_MODULE}`);
  const bytes = await readFile(file);
  return decompress(bytes, compressionOf(bytes), MAX_MODULE);
}
