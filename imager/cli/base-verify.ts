/** `imager base verify`: without the imager, on images that may be in use. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { Context } from './context.ts';
import { VerbError } from './failure.ts';
import { percent } from './percent.ts';
import { bytes } from './table.ts';

interface Verdict {
  name: string;
  /** Bytes that were read. */
  bytes: number;
  /** What is wrong; null where nothing is. */
  damage: string | null;
}

/** Adds the verb to `base`. */
export function addVerify(base: Command): void {
  base
    .command('verify')
    .description(
      'read base images whole and compare them with their checksums; exit code 1 where one is damaged',
    )
    .argument('[name]', 'one base image (default: all)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
The imager need not be running; disks over the images may be in use. Progress is on standard error.

Examples:
  imager base verify
  imager base verify debian-12 --json`,
    )
    .action((name: string | undefined, _options, command: Command) => verify(new Context(command), name));
}

async function verify(context: Context, name: string | undefined): Promise<void> {
  const { Bases } = await import('../disks/bases.ts');
  const dir = join(context.config.state, 'bases');
  if (!existsSync(dir)) throw new VerbError(`no base images in ${context.config.state}`);
  const bases = Bases.at(dir);
  const total = bases
    .list()
    .filter((base) => name === undefined || base.name === name)
    .reduce((sum, { size }) => sum + size, 0);
  const progress = percent(context);
  let read = 0;
  const verdicts: Verdict[] = [];
  for (const each of name === undefined ? bases.names() : [name]) {
    const before = read;
    const damage = await bases.verify(each, (count) => {
      read += count;
      progress(Math.min(1, read / total));
    });
    verdicts.push({ name: each, bytes: read - before, damage: damage ?? null });
  }
  context.print(verdicts, (all) => all.map(show).join('\n'));
  if (verdicts.some(({ damage }) => damage !== null)) process.exitCode = 1;
}

function show({ name, bytes: read, damage }: Verdict): string {
  return damage ?? `${name} is good: ${bytes(read)} read`;
}
