#!/usr/bin/env node
/** The imager's command line: parses, calls, prints. One file a verb group beside this one. */
import { Command, CommanderError } from 'commander';
import { ConfigError } from '../model/fault.ts';
import { addBase } from './base.ts';
import { addDisk } from './disk.ts';
import { EXIT_CODES, NotReachableError, VerbError } from './failure.ts';
import { addImage } from './image.ts';
import { addNode } from './node.ts';
import { addServe } from './serve.ts';

function commandLine(): Command {
  const program = new Command('imager')
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
  for (const add of [addServe, addNode, addImage, addBase, addDisk]) add(program);
  return program;
}

/** The exit code of a verb that threw; what is worth reading has been printed. */
function report(error: unknown): number {
  // Commander has printed its own message; help and version are no failures.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
  if (error instanceof VerbError || error instanceof NotReachableError) {
    process.stderr.write(`imager: ${error.message}\n`);
    return error.exitCode;
  }
  process.stderr.write(`imager: ${error instanceof Error ? error.message : String(error)}\n`);
  return 1;
}

try {
  await commandLine().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
