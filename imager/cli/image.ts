/** `imager image`: the boot images there are, adding and building them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Architecture, BootImage } from '../images/image.ts';
import { buildBootFiles } from '../images/recipe.ts';
import { architectureOption, cacheDirectory, cacheOption } from './build-options.ts';
import { Context } from './context.ts';
import { VerbError } from './failure.ts';
import { bytes, fields, table } from './table.ts';

interface AddOptions {
  arch: Architecture;
  kernel: string;
  initrd: string;
  dtb?: string;
  args: string;
}

interface BuildOptions {
  arch: Architecture;
  args?: string;
  agent?: string;
  cache?: string;
}

export function addImage(program: Command): void {
  const image = program
    .command('image')
    .description('list, show, add and build boot images')
    .addHelpText('after', '\nExamples:\n  imager image list\n  imager image build debian-12 --arch arm64');
  image
    .command('list')
    .description('all boot images')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  imager image list\n  imager image list --json')
    .action(async (_options, command: Command) => {
      const context = new Context(command);
      context.print(await context.get<BootImage[]>('/api/images'), (images) =>
        table(
          ['name', 'arch', 'kernel', 'initrd', 'added'],
          images.map(({ name, arch, files, added }) => [
            name,
            arch,
            bytes(files.kernel.bytes),
            bytes(files.initrd.bytes),
            added,
          ]),
        ),
      );
    });
  image
    .command('show')
    .description('one boot image: its files with their checksums, its kernel arguments')
    .argument('<name>', 'name of the image')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  imager image show debian-12')
    .action(async (name: string, _options, command: Command) => {
      const context = new Context(command);
      context.print(await context.get<BootImage>(`/api/images/${encodeURIComponent(name)}`), showImage);
    });
  image
    .command('add')
    .description('add a boot image from files of this machine, which are copied')
    .argument('<name>', 'name of the new image')
    .addOption(architectureOption())
    .requiredOption('--kernel <file>', 'kernel: Image or Image.gz for arm64, bzImage for amd64')
    .requiredOption('--initrd <file>', 'initramfs')
    .option('--dtb <file>', 'device tree')
    .requiredOption('--args <text>', 'kernel arguments')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  imager image add rescue --arch amd64 --kernel vmlinuz --initrd initrd.img --args "console=ttyS0 quiet"`,
    )
    .action(async (name: string, options: AddOptions, command: Command) => {
      await add(new Context(command), name, options);
    });
  image
    .command('build')
    .description("build a boot image from Debian's cloud kernel and the agent, then add it")
    .argument('<name>', 'name of the new image')
    .addOption(architectureOption())
    .option('--args <text>', 'kernel arguments besides those it needs')
    .option('--agent <file>', 'static agent binary to use instead of building one')
    .addOption(cacheOption())
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Downloads packages with this machine's apt; without network where they are cached. Progress is on standard error.

Examples:
  imager image build debian-12 --arch arm64
  imager image build debian-12-debug --arch amd64 --args "loglevel=7"`,
    )
    .action(async (name: string, options: BuildOptions, command: Command) => {
      await build(new Context(command), name, options);
    });
}

async function add(context: Context, name: string, options: AddOptions): Promise<void> {
  const { arch, kernel, initrd, dtb, args } = options;
  const added = await context.post<BootImage>('/control/images', {
    name,
    arch,
    kernel: resolve(kernel),
    initrd: resolve(initrd),
    ...(dtb === undefined ? {} : { dtb: resolve(dtb) }),
    args,
  });
  context.print(added, showImage);
}

async function build(
  context: Context,
  name: string,
  { arch, args, agent, cache }: BuildOptions,
): Promise<void> {
  // Asked first: a build takes minutes, and is of no use where there is nobody to give it to.
  const images = await context.get<BootImage[]>('/api/images');
  if (images.some((image) => image.name === name))
    throw new VerbError(`boot image "${name}" exists already: images never change, choose another name`);
  const work = await mkdtemp(join(tmpdir(), 'imager-build-'));
  try {
    const binary = agent ?? (await buildAgentInto(work, arch, context.progress));
    const built = await buildBootFiles({
      arch,
      agent: binary,
      cacheDir: cacheDirectory(context, cache),
      outDir: work,
      progress: context.progress,
    });
    const all = [built.args, args].filter((part) => part !== undefined && part !== '').join(' ');
    await add(context, name, { arch, kernel: built.kernel, initrd: built.initrd, args: all });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function buildAgentInto(
  work: string,
  arch: Architecture,
  progress: (line: string) => void,
): Promise<string> {
  // Loaded only here: it needs compilers and esbuild, which a machine that only serves does not have.
  const { buildAgent } = await import('../../agent/quickjs/build.ts');
  const out = join(work, 'agent');
  await buildAgent({ arch, out, progress });
  return out;
}

function showImage(image: BootImage): string {
  const files = Object.entries(image.files).map(
    ([file, { bytes: size, sha256 }]) => [file, `${bytes(size)}, sha256 ${sha256}`] as const,
  );
  return fields([
    ['name', image.name],
    ['arch', image.arch],
    ['arguments', image.args],
    ...files,
    ['added', image.added],
  ]);
}
