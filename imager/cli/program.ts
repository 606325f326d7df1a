/** The imager's command line: parses, calls, prints. One file a verb group beside this one. */
import { Command } from 'commander';
import { PROTOCOL_VERSION } from '../../agent/protocol/messages.ts';
import { VERSION } from '../../agent/protocol/version.ts';
import { addBase } from './base.ts';
import { addDisk } from './disk.ts';
import { EXIT_CODES } from './failure.ts';
import { addImage } from './image.ts';
import { addNode } from './node.ts';
import { addPxe } from './pxe.ts';
import { addRig } from './rig.ts';
import { addSerial } from './serial.ts';
import { addServe } from './serve.ts';

/** All verbs. Parsing throws CommanderError where it would end the process. */
export function commandLine(): Command {
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
  for (const add of [addServe, addNode, addImage, addBase, addDisk, addPxe, addSerial, addRig]) add(program);
  return program;
}
