/** `imager image`: the boot images there are, adding and building them. */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { type Architecture, type BootImage, checkArgs, checkName, filesOf } from '../images/image.ts';
import { buildBootFiles } from '../images/recipe.ts';
import { clearWorkFolders, withWorkFolder } from '../images/work-folder.ts';
import type { Health } from '../model/views.ts';
import {
  ARCHITECTURES,
  architectureOption,
  buildAgentInto,
  cacheDirectory,
  cacheOption,
  enrolmentKeyOption,
} from './build-options.ts';
import { Context } from './context.ts';
import { VerbError } from './failure.ts';
import { addAgent } from './image-agent.ts';
import { addInitramfs } from './image-initramfs.ts';
import { addImageInspect } from './image-inspect.ts';
import { addNbi } from './image-nbi.ts';
import { addSign } from './image-sign.ts';
import { showImage } from './image-text.ts';
import { bytes, table } from './table.ts';

interface AddOptions {
  arch?: Architecture;
  kernel?: string;
  initrd?: string;
  dtb?: string;
  efi?: string;
  bootSector?: string;
  nbi?: string;
  args?: string;
}

/** Options of `image add` that name files. */
const FILES = ['kernel', 'initrd', 'dtb', 'efi', 'bootSector', 'nbi'] as const;

interface BuildOptions {
  arch: Architecture;
  args?: string;
  agent?: string;
  enrolmentKey?: string;
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
          ['name', 'kind', 'arch', 'files', 'added'],
          images.map((image) => [
            image.name,
            image.kind,
            image.arch,
            filesOf(image)
              .map(([file, { bytes: size }]) => `${file} ${bytes(size)}`)
              .join(', '),
            image.added,
          ]),
        ),
      );
      for (const fault of await damaged(context)) context.progress(fault);
    });
  image
    .command('show')
    .description('one boot image: its files with their checksums, its kernel arguments')
    .argument('<name>', 'name of the image')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  imager image show debian-12')
    .action(async (name: string, _options, command: Command) => {
      const context = new Context(command);
      const shown = await context
        .get<BootImage>(`/api/images/${encodeURIComponent(name)}`)
        .catch(async (error: Error) => {
          const faults = await damaged(context).catch(() => []);
          const fault = faults.find((each) => each.startsWith(`image ${name} `));
          throw fault === undefined ? error : new VerbError(fault);
        });
      context.print(shown, showImage);
    });
  image
    .command('add')
    .description('add a boot image from files of this machine, which are copied')
    .argument('<name>', 'name of the new image')
    .addOption(
      new Option('--arch <arch>', 'architecture of the nodes; only a kernel needs it').choices(ARCHITECTURES),
    )
    .option('--kernel <file>', 'kernel: Image or Image.gz for arm64, bzImage for amd64')
    .option('--initrd <file>', 'initramfs of the kernel')
    .option('--dtb <file>', 'device tree of the kernel')
    .option('--efi <file>', 'UEFI program, e.g. a boot loader or a unified kernel image')
    .option('--boot-sector <file>', 'raw disk that begins with a boot sector, for PC BIOSes')
    .option('--nbi <file>', 'tagged network boot image, for PC BIOSes')
    .option('--args <text>', 'arguments of the kernel or the UEFI program')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Kernel, UEFI program, boot sector and tagged image are looked at: what is not of the kind or architecture it is said to be
is refused. initrd and device tree are taken as they are: imager image inspect tells what they seem to be.

Examples:
  imager image add rescue --arch amd64 --kernel vmlinuz --initrd initrd.img --args "console=ttyS0 quiet"
  imager image add shell --efi Shell.efi
  imager image add freedos --boot-sector freedos.img
  imager image add rescue-tagged --nbi rescue.nbi`,
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
    .addOption(enrolmentKeyOption())
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
  addImageInspect(image);
  addSign(image);
  addNbi(image);
  addInitramfs(image);
  addAgent(image);
}

/** Images that are there and in no list: what is wrong with each. */
async function damaged(context: Context): Promise<string[]> {
  return (await context.get<Health>('/health')).problems.filter((each) => each.startsWith('image '));
}

async function add(context: Context, name: string, options: AddOptions): Promise<void> {
  const { arch, args } = options;
  const files = FILES.flatMap((file) => {
    const path = options[file];
    return path === undefined ? [] : [[file, resolve(path)]];
  });
  const body = { name, arch, args, ...Object.fromEntries(files) };
  context.print(await context.post<BootImage>('/control/images', body), showImage);
}

async function build(
  context: Context,
  name: string,
  { arch, args, agent, enrolmentKey, cache }: BuildOptions,
): Promise<void> {
  checkName(name);
  if (args !== undefined) checkArgs(args);
  // Asked first: a build takes minutes, and is of no use where there is nobody to give it to.
  const images = await context.get<BootImage[]>('/api/images');
  if (images.some((image) => image.name === name))
    throw new VerbError(`boot image "${name}" exists already: images never change, choose another name`);
  const key = context.config.agents.enrolmentKey;
  if (key !== undefined && enrolmentKey === undefined)
    context.progress(
      `warning: without --enrolment-key ${key} (agents.enrolmentKey) nodes that boot this image and are not defined yet are refused`,
    );
  const cacheDir = cacheDirectory(context, cache);
  clearWorkFolders(cacheDir);
  await withWorkFolder(cacheDir, async (work) => {
    const built = await buildBootFiles({
      arch,
      agent: agent ?? (() => buildAgentInto(work, arch, context.progress)),
      ...(enrolmentKey === undefined ? {} : { enrolmentKey: resolve(enrolmentKey) }),
      cacheDir,
      outDir: work,
      progress: context.progress,
    });
    const all = [built.args, args].filter((part) => part !== undefined && part !== '').join(' ');
    await add(context, name, { arch, kernel: built.kernel, initrd: built.initrd, args: all });
  });
}
