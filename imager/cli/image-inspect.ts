/** `imager image inspect` and `verify`: what boot files are, and whether they are still so. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { readHead } from '../images/copy.ts';
import { type BootImage, filesOf } from '../images/image.ts';
import { type Inspected, inspect, inspectedLines } from '../images/inspect.ts';
import { NbiError } from '../images/nbi/header.ts';
import { BootTable } from '../images/table.ts';
import { Context } from './context.ts';
import { VerbError } from './failure.ts';
import { bytes, counted, fields, table } from './table.ts';

/** Adds the verbs to the group `image`. */
export function addImageInspect(image: Command): void {
  image
    .command('inspect')
    .description(
      'what a file is, or those of a boot image: kernel, initramfs, UEFI program, boot sector, tagged image',
    )
    .argument('<file|image>', 'a file of this machine, or where there is none the name of a boot image')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Needs no running imager, and for a file no configuration. Tells every field of a tagged image; fails (exit code 1) where
one could not be loaded, and says why. The signature of an image and the checksums of its files are not looked at:
imager image verify does that.

Examples:
  imager image inspect rescue.nbi
  imager image inspect vmlinuz --json
  imager image inspect debian-12`,
    )
    .action(async (target: string, _options, command: Command) => {
      const context = new Context(command);
      if (PATH.test(target) || isFile(target)) await inspectFile(context, target);
      else await inspectImage(context, target);
    });
  image
    .command('verify')
    .description('read the files of a boot image again and compare them with their checksums')
    .argument('<name>', 'name of the image')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Reads the files that were added. A node that is flashed verifies all that is served of the image, which is more files:
boot.ipxe and the like are made of these.

Examples:
  imager image verify debian-12`,
    )
    .action(async (name: string, _options, command: Command) => verify(new Context(command), name));
}

/** No image is called so. */
const PATH = /\/|^\.\.?$/;

/** A folder of an image's name, such as one its files were made in, is not what is meant. */
function isFile(name: string): boolean {
  return existsSync(name) && !statSync(name).isDirectory();
}

async function inspectFile(context: Context, file: string): Promise<void> {
  const found = await inspected(file);
  context.print(found, () => [found.words, ...fieldsOf(found)].join('\n\n'));
  if (found.faults.length > 0) throw new VerbError(found.faults.join('; '));
}

async function inspectImage(context: Context, name: string): Promise<void> {
  const { image, boots } = imageNamed(context, name);
  const files = await Promise.all(
    filesOf(image).map(async ([file, about]) => {
      return { file, about, found: await inspected(boots.path(name, file)) };
    }),
  );
  const json = files.map(({ file, about, found }) => [file, { ...about, ...found }] as const);
  context.print({ ...image, files: Object.fromEntries(json) }, () =>
    [
      `boot image ${name}: ${image.kind}, for ${image.arch}, added ${image.added}`,
      ...(image.args === '' ? [] : [`arguments: ${image.args}`]),
      ...files.flatMap(({ file, about, found }) => [
        `${file}: ${found.words}, ${bytes(about.bytes)}`,
        ...fieldsOf(found),
      ]),
      `not looked at: its signature and the checksums of its files (imager image verify ${name})`,
    ].join('\n\n'),
  );
  const faults = files.flatMap(({ file, found }) => found.faults.map((fault) => `${file}: ${fault}`));
  if (faults.length > 0) throw new VerbError(faults.join('; '));
}

/** The image from the boot table's own folder: an imager may run, and need not. */
function imageNamed(context: Context, name: string): { image: BootImage; boots: BootTable } {
  if (!existsSync(context.configFile))
    throw new VerbError(
      `there is no file ${name}, and no configuration ${context.configFile} that says where boot images are (--config FILE)`,
    );
  const boots = tableOf(context);
  const there = existsSync(folderOf(context));
  const images = there ? boots.list().map((each) => each.name) : [];
  const image = there ? boots.get(name) : undefined;
  if (image !== undefined) return { image, boots };
  throw new VerbError(
    `there is no file ${name}, and no boot image of that name; there is: ${images.join(', ') || 'none'}`,
  );
}

function tableOf(context: Context): BootTable {
  return BootTable.read(folderOf(context));
}

function folderOf(context: Context): string {
  return join(context.config.state, 'images');
}

async function inspected(path: string): Promise<Inspected> {
  try {
    const { head, bytes: size } = await readHead(path);
    return inspect(head, size);
  } catch (error) {
    if (error instanceof NbiError) throw new VerbError(`${path}: ${error.message}`);
    throw error;
  }
}

function fieldsOf(found: Inspected): string[] {
  return inspectedLines(found).map(fields);
}

async function verify(context: Context, name: string): Promise<void> {
  const path = encodeURIComponent(name);
  // First: it has words for an image that is damaged at first sight, which is in no list.
  const faults = await context.post<string[]>(`/control/images/${path}/verify`, {});
  const image = await context.get<BootImage>(`/api/images/${path}`);
  const files = filesOf(image);
  context.print({ name, faults, files: image.files }, () => {
    const bad = (file: string) => faults.some((fault) => fault.startsWith(`${file} `));
    const all = counted(
      files.reduce((sum, [, { bytes: size }]) => sum + size, 0),
      'byte',
    );
    return [
      `${name}: read ${counted(files.length, 'added file')}, ${all}; ${faults.length === 0 ? `all as added ${image.added}` : 'damaged'}`,
      table(
        ['  file', 'size', 'sha256', 'now'],
        files.map(([file, { bytes: size, sha256 }]) => [
          ...[`  ${file}`, bytes(size), sha256],
          bad(file) ? 'damaged' : 'the same',
        ]),
      ),
    ].join('\n');
  });
  if (faults.length === 0) return;
  const mending = tableOf(context).mending(name);
  throw new VerbError(`image ${name} is damaged: ${faults.join('; ')}; ${mending}`);
}
