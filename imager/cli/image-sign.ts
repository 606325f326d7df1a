/** `imager image sign`: an image that another cluster signed, or an earlier version added, is this cluster's from then on. */
import type { Command } from 'commander';
import { type BootImage, filesOf } from '../images/image.ts';
import { Context } from './context.ts';
import { bytes, table } from './table.ts';

/** Adds the verb to the group `image`. */
export function addSign(image: Command): void {
  image
    .command('sign')
    .description('sign a boot image, as it is now, that another cluster signed or an earlier version added')
    .argument('<name>', 'name of the image')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
What is added here is signed at once. An image that is not signed, or whose image.json was changed since, is neither served
nor flashed: look at it (imager image inspect, imager image verify)
before you sign it.

Examples:
  imager image sign debian-12`,
    )
    .action(async (name: string, _options, command: Command) => {
      const context = new Context(command);
      const signed = await context.post<BootImage>(`/control/images/${encodeURIComponent(name)}/sign`, {});
      context.print(signed, () =>
        [
          `${name}: signed as it is, ${signed.kind}, for ${signed.arch}, arguments ${JSON.stringify(signed.args)}`,
          table(
            ['  file', 'size', 'sha256'],
            filesOf(signed).map(([file, { bytes: size, sha256 }]) => [`  ${file}`, bytes(size), sha256]),
          ),
        ].join('\n'),
      );
    });
}
