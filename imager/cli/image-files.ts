/** `imager image inspect`, `verify` and `nbi`: what boot files are, whether they are still so, and tagged images. */
import type { Command } from 'commander';
import { readHead } from '../images/copy.ts';
import { type BootImage, ImageError } from '../images/image.ts';
import { type Inspected, inspect, inspectedLines } from '../images/inspect.ts';
import { NbiError } from '../images/nbi/header.ts';
import { Context } from './context.ts';
import { VerbError } from './failure.ts';
import { showImage } from './image-text.ts';
import { fields } from './table.ts';

export function addImageFiles(image: Command): void {
  image
    .command('inspect')
    .description('what a file is: kernel, UEFI program, boot sector; every field of a tagged image')
    .argument('<file>', 'a file of this machine')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Needs no configuration and no running imager. Fails (exit code 1) where a tagged image could not be loaded, and says why.

Examples:
  imager image inspect rescue.nbi
  imager image inspect vmlinuz --json`,
    )
    .action(async (file: string, _options, command: Command) => {
      const found = await inspectFile(file);
      new Context(command).print(found, () =>
        [found.words, ...inspectedLines(found).map(fields)].join('\n\n'),
      );
      if (found.faults.length > 0) throw new VerbError(found.faults.join('; '));
    });
  image
    .command('verify')
    .description('read the files of a boot image again and compare them with their checksums')
    .argument('<name>', 'name of the image')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  imager image verify debian-12')
    .action(async (name: string, _options, command: Command) => {
      const context = new Context(command);
      const faults = await context.post<string[]>(`/control/images/${encodeURIComponent(name)}/verify`, {});
      context.print({ name, faults }, () => (faults.length === 0 ? `${name}: as it was added` : ''));
      if (faults.length > 0) throw new VerbError(`image ${name} is damaged: ${faults.join('; ')}`);
    });
  image
    .command('nbi')
    .description(
      'build a tagged network boot image from a boot image with a Linux kernel for amd64, then add it',
    )
    .argument('<name>', 'name of the new image')
    .requiredOption('--from <image>', 'boot image with kernel and initrd')
    .option('--args <text>', "kernel arguments (default: the other image's)")
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Firmware without the format (iPXE of Debian, PXE ROMs) loads it with images/NAME/nbi.0, which boot.ipxe chains to.

Examples:
  imager image nbi debian-12-tagged --from debian-12
  imager image nbi rescue-tagged --from rescue --args "console=ttyS0 single"`,
    )
    .action(async (name: string, options: { from: string; args?: string }, command: Command) => {
      const context = new Context(command);
      const { from, args } = options;
      context.print(await context.post<BootImage>('/control/tagged-images', { name, from, args }), showImage);
    });
}

async function inspectFile(file: string): Promise<Inspected> {
  try {
    const { head, bytes } = await readHead(file);
    return inspect(head, bytes);
  } catch (error) {
    if (error instanceof NbiError) throw new VerbError(`${file}: ${error.message}`);
    if (error instanceof ImageError || (error as NodeJS.ErrnoException).syscall !== undefined)
      throw new VerbError((error as Error).message);
    throw error;
  }
}
