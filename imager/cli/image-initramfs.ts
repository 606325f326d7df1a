/** `imager image initramfs`: the first root file system of a node, made or looked into. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { COMPRESSIONS, type Compression } from '../images/compression.ts';
import { CpioError, type CpioPart, readInitramfs } from '../images/cpio-read.ts';
import type { Architecture } from '../images/image.ts';
import { type BuiltInitramfs, buildInitramfs } from '../images/initramfs-recipe.ts';
import { moduleName } from '../images/modules.ts';
import { withWorkFolder } from '../images/work-folder.ts';
import { replaceDurably } from '../storage/durable.ts';
import {
  ARCHITECTURES,
  buildAgentInto,
  cacheDirectory,
  cacheOption,
  enrolmentKeyOption,
} from './build-options.ts';
import { Context } from './context.ts';
import { UsageError, VerbError } from './failure.ts';
import { tryOutput } from './output.ts';
import { bytes, counted, table } from './table.ts';

interface Options {
  arch?: Architecture;
  modules?: string;
  module?: string[];
  withModule?: string[];
  agent?: string;
  busybox: string;
  add?: string[];
  enrolmentKey?: string;
  compress: Compression;
  list?: string;
  cache?: string;
}

/** Adds the verb to the group `image`. */
export function addInitramfs(image: Command): void {
  const several = (value: string, before: string[] = []): string[] => [...before, value];
  image
    .command('initramfs')
    .description('make an initramfs of kernel modules, busybox and the agent, or look into one')
    .argument('[out]', 'file to write')
    .addOption(new Option('--arch <arch>', 'architecture of the nodes').choices(ARCHITECTURES))
    .option(
      '--modules <dir>',
      "the lib/modules/VERSION of a kernel of one's own (default: Debian's cloud kernel)",
    )
    .option('--module <name>', 'load this, and not what virtual machines need; can be repeated', several)
    .option('--with-module <name>', 'load this as well; can be repeated', several)
    .option('--agent <file>', 'static agent binary to use instead of building one')
    .option('--busybox <file>', '"debian", "none", or a static busybox', 'debian')
    .option('--add <file:path>', 'a file of this machine, and its place; can be repeated', several)
    .addOption(enrolmentKeyOption())
    .addOption(
      new Option('--compress <how>', 'what the kernel unpacks').choices(COMPRESSIONS).default('zstd'),
    )
    .option('--list <file>', 'say what is in an initramfs, and make none')
    .addOption(cacheOption())
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Takes the modules that are named, and those they need in the order in which they must be loaded; a name that the kernel
does not have, a module of another release or architecture, and one that leads out of the folder are refused. The
same input gives the same bytes, whenever and wherever it is made. Needs no running imager. busybox is there for people:
boot with rdinit=/bin/sh.

Examples:
  imager image initramfs initrd.img --arch arm64
  imager image initramfs initrd.img --arch amd64 --with-module softdog --compress xz
  imager image initramfs initrd.img --arch amd64 --modules /lib/modules/6.1.0-40-amd64 --module nbd --module ext4
  imager image initramfs initrd.img --arch arm64 --agent agent --busybox none --add site.pem:etc/site.pem
  imager image initramfs --list initrd.img`,
    )
    .action(async (out: string | undefined, options: Options, command: Command) => {
      const context = new Context(command);
      if (options.list !== undefined && out !== undefined)
        throw new UsageError(`--list makes no initramfs: ${out} would not be written`);
      if (options.list !== undefined) await list(context, options.list);
      else if (out === undefined || options.arch === undefined)
        throw new UsageError('give a file to write and --arch, or --list FILE');
      else await make(context, out, options.arch, options);
    });
}

async function make(context: Context, out: string, arch: Architecture, options: Options): Promise<void> {
  tryOutput(out);
  const cacheDir = (): string => cacheDirectory(context, options.cache);
  const built = await withAgent(context, arch, options, cacheDir, (agent) =>
    buildInitramfs({
      arch,
      agent,
      ...(options.modules === undefined ? {} : { modulesDir: resolve(options.modules) }),
      ...(options.module === undefined ? {} : { modules: options.module }),
      withModules: options.withModule ?? [],
      ...busyboxOf(options.busybox),
      add: (options.add ?? []).map(addedOf),
      ...(options.enrolmentKey === undefined ? {} : { enrolmentKey: resolve(options.enrolmentKey) }),
      compression: options.compress,
      cacheDir,
      progress: context.progress,
    }),
  );
  for (const name of [...(options.module ?? []), ...(options.withModule ?? [])])
    if (built.builtIn.includes(moduleName(name)))
      context.progress(`kernel module ${name} is built into this kernel: there is nothing to load`);
  const file = resolve(out);
  replaceDurably(dirname(file), basename(file), built.bytes);
  context.print(summary(file, arch, options.compress, built), (value) =>
    [
      table(
        ['size', 'path'],
        value.contents.filter((each) => each.bytes > 0).map((each) => [bytes(each.bytes), each.path]),
      ),
      `${out}: ${bytes(value.bytes)}, unpacked ${bytes(value.unpackedBytes)}, for the kernel ${value.kernel} ` +
        `(${arch}), ${counted(value.modules.length, 'module')}; sha256 ${value.sha256}`,
    ].join('\n'),
  );
}

function withAgent(
  context: Context,
  arch: Architecture,
  { agent }: Options,
  cacheDir: () => string,
  use: (agent: string | (() => Promise<string>)) => Promise<BuiltInitramfs>,
): Promise<BuiltInitramfs> {
  if (agent !== undefined) return use(resolve(agent));
  return withWorkFolder(cacheDir(), (work) => use(() => buildAgentInto(work, arch, context.progress)));
}

function busyboxOf(word: string): { busybox?: string | { debian: true } } {
  if (word === 'none') return {};
  return { busybox: word === 'debian' ? { debian: true } : resolve(word) };
}

function addedOf(text: string): { file: string; path: string } {
  const at = text.lastIndexOf(':');
  if (at < 1 || at === text.length - 1) throw new UsageError(`--add ${text}: give FILE:PATH`);
  return { file: resolve(text.slice(0, at)), path: text.slice(at + 1) };
}

function summary(file: string, arch: Architecture, compression: Compression, built: BuiltInitramfs) {
  return {
    file,
    arch,
    kernel: built.kernelVersion,
    compression,
    bytes: built.bytes.length,
    unpackedBytes: built.unpackedBytes,
    sha256: createHash('sha256').update(built.bytes).digest('hex'),
    modules: built.modules.map(({ name }) => name),
    builtIn: built.builtIn,
    contents: built.entries.map((entry) => ({
      path: entry.path,
      type: entry.type,
      bytes: entry.type === 'file' ? entry.content.length : 0,
    })),
  };
}

async function list(context: Context, file: string): Promise<void> {
  const parts = await readInitramfs(await readFile(file)).catch((error: Error) => {
    throw error instanceof CpioError ? new VerbError(`${file}: ${error.message}`) : error;
  });
  context.print({ file, parts }, () => parts.map(partText).join('\n\n'));
}

function partText({ compression, bytes: size, unpackedBytes, members }: CpioPart): string {
  const packed = compression === 'none' ? 'not compressed' : `${bytes(size)} with ${compression}`;
  return [
    `${counted(members.length, 'member')}, ${bytes(unpackedBytes)}, ${packed}`,
    table(
      ['mode', 'size', 'path'],
      members.map(({ path, mode, bytes: length, target }) => [
        mode.toString(8).padStart(6, '0'),
        bytes(length),
        target === undefined ? path : `${path} -> ${target}`,
      ]),
    ),
  ].join('\n');
}
