/** The imager's command line: parses, calls, prints. One file a verb group beside this one, loaded where it is needed. */
import { Command } from 'commander';
import { PROTOCOL_VERSION } from '../../agent/protocol/messages.ts';
import { VERSION } from '../../agent/protocol/version.ts';
import { EXIT_CODES } from './failure.ts';

type Group = (program: Command) => void;

/** By the verb that all of a group begin with, as they are listed. */
const GROUPS: Record<string, () => Promise<Group>> = {
  serve: async () => (await import('./serve.ts')).addServe,
  node: async () => (await import('./node.ts')).addNode,
  image: async () => (await import('./image.ts')).addImage,
  base: async () => (await import('./base.ts')).addBase,
  disk: async () => (await import('./disk.ts')).addDisk,
  pxe: async () => (await import('./pxe.ts')).addPxe,
  serial: async () => (await import('./serial.ts')).addSerial,
  rig: async () => (await import('./rig.ts')).addRig,
};

/** The names of the groups that the words of a call ask for: of one, where nothing but a configuration file is named before it. */
function groupsOf(words: readonly string[]): string[] {
  if (words[0] === '--version') return [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word === '-c' || word === '--config') at++;
    else if (!word.startsWith('-c') && !word.startsWith('--config='))
      return Object.hasOwn(GROUPS, word) ? [word] : Object.keys(GROUPS);
  }
  return Object.keys(GROUPS);
}

/**
 * All verbs; those of one group alone where `words`, a call, ask for it: a verb starts in three quarters of the time without what
 * the others need. Parsing throws CommanderError where it would end the process.
 */
export async function commandLine(words: readonly string[] = []): Promise<Command> {
  const program = new Command('imager')
    .version(`imager ${VERSION} (protocol ${PROTOCOL_VERSION}, node)`, '--version', 'print the version')
    .description('Boots nodes over the network: boot images, disks, boot pointers, configuration.')
    .option('-c, --config <file>', 'configuration file (default: $IMAGER_CONFIG, or ./imager.yaml)')
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(--help shows the usage)')
    .exitOverride()
    .addHelpText(
      'after',
      `
${EXIT_CODES}

Examples:
  imager serve --config lab.yaml
  imager image build debian-12 --arch arm64
  imager base build debian-12 --arch arm64
  imager disk create node1-root --base debian-12
  imager node flash node1 --image debian-12 --disk node1-root
  imager node list --json`,
    );
  const loaded = await Promise.all(groupsOf(words).map((name) => GROUPS[name]!()));
  for (const add of loaded) add(program);
  return program;
}
