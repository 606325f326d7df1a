/** `imager image agent`: the agent's static program, for systems that are up. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { Architecture } from '../images/image.ts';
import { ARCHITECTURES, buildAgentAt } from './build-options.ts';
import { Context } from './context.ts';
import { VerbError } from './failure.ts';
import { tryOutput } from './output.ts';
import { bytes } from './table.ts';

const NATIVE: Architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** Adds the verb to the group `image`. */
export function addAgent(image: Command): void {
  image
    .command('agent')
    .description("write the agent's static program: it needs no Node and no library on the node")
    .argument('<out>', 'file to write')
    .addOption(new Option('--arch <arch>', 'architecture of the node').choices(ARCHITECTURES).default(NATIVE))
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
The first time it is compiled, from sources that this machine's apt downloads, which takes minutes; later it is linked of what
is compiled already. The file can be executed: ./OUT --help lists its verbs. Needs no running imager.

Examples:
  imager image agent agent
  imager image agent agent-arm64 --arch arm64 && scp agent-arm64 root@10.77.0.11:/usr/local/sbin/agent`,
    )
    .action(async (out: string, { arch }: { arch: Architecture }, command: Command) => {
      const context = new Context(command);
      tryOutput(out);
      const file = resolve(out);
      await buildAgentAt(file, arch, context.progress).catch((error: Error) => {
        throw new VerbError(`${out} was not written: ${error.message}`);
      });
      const content = await readFile(file);
      const sha256 = createHash('sha256').update(content).digest('hex');
      context.print({ file, arch, bytes: content.length, sha256 }, (made) =>
        [`${out}: the agent for ${made.arch}, ${bytes(made.bytes)}`, `sha256 ${made.sha256}`].join('; '),
      );
    });
}
