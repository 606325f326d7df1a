/**
 * The kernel modules an initramfs needs, in the order to load them. What depends on what is read from the modules
 * themselves (.modinfo): Debian's kernel packages ship no modules.dep, it is made where they are installed.
 */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { command } from './command.ts';
import { moduleInfo } from './elf.ts';

export interface KernelModule {
  /** As modprobe knows it: 'virtio_net'. */
  name: string;
  /** Relative to lib/modules/VERSION, without a compression suffix. */
  path: string;
  content: Uint8Array;
}

/** How the kernel writes a module's name: '-' and '_' are the same. */
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
 * Reads `wanted` and all they need from `folder`, the lib/modules/VERSION of an unpacked kernel package, in load
 * order. Soft needs that the kernel does not have are passed over.
 */
export async function readModules(folder: string, wanted: readonly string[]): Promise<KernelModule[]> {
  const files = new Map<string, string>();
  for (const path of await readdir(join(folder, 'kernel'), { recursive: true }))
    if (/\.ko(\.(xz|zst|gz))?$/.test(path)) files.set(moduleName(path), join('kernel', path));
  const builtinList = await readFile(join(folder, 'modules.builtin'), 'utf8');
  const builtin = new Set(builtinList.split('\n').filter(Boolean).map(moduleName));

  const found = new Map<string, KernelModule & { needs: string[] }>();
  const pending = [...wanted];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const path = files.get(name);
    if (found.has(name) || builtin.has(name) || path === undefined) continue;
    const content = await readModule(join(folder, path));
    const { hard, soft } = directNeeds(moduleInfo(content));
    const needs = [...hard, ...soft.filter((need) => files.has(need))];
    found.set(name, { name, path: path.replace(/\.ko\.\w+$/, '.ko'), content, needs });
    pending.push(...needs);
  }
  return loadOrder(wanted, builtin, (name) => found.get(name)?.needs).map((name) => {
    const { path, content } = found.get(name)!;
    return { name, path, content };
  });
}

/** Modules are unpacked here: the agent hands them to the kernel as they are. */
async function readModule(path: string): Promise<Uint8Array> {
  if (path.endsWith('.ko')) return readFile(path);
  const tool = path.endsWith('.xz') ? 'xz' : path.endsWith('.zst') ? 'zstd' : 'gzip';
  return command([tool, '-dc', path], { package: tool === 'xz' ? 'xz-utils' : tool });
}
