/** `imager image nbi`: tagged images. */
import type { Command } from 'commander';
import type { BootImage } from '../images/image.ts';
import { Context } from './context.ts';
import { showImage } from './image-text.ts';

/** Adds the verb to the group `image`. */
export function addNbi(image: Command): void {
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
