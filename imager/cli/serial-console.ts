/** `imager serial console`: a node's console in this terminal. */
import { createWriteStream, openSync, type WriteStream } from 'node:fs';
import type { Command } from 'commander';
import { attachConsole } from '../serial/console.ts';
import { openPort } from '../serial/port.ts';
import { Context } from './context.ts';
import { VerbError } from './failure.ts';
import { withExitCodes } from './serial-context.ts';
import { baudOption } from './serial-options.ts';

export function addConsole(serial: Command): void {
  serial
    .command('console')
    .description("a node's console in this terminal; Ctrl-] leaves it")
    .requiredOption('--port <device>', 'serial port')
    .addOption(baudOption())
    .option('--log <file>', 'append what the node says to this file')
    .addHelpText('after', '\nExamples:\n  imager serial console --port /dev/ttyUSB0 --log node1.log')
    .action(async ({ port, baud, log }: { port: string; baud: number; log?: string }, command: Command) => {
      const { progress } = new Context(command);
      const { stdin, stdout } = process;
      // Before the port: a log that cannot be written is known while nothing is held yet.
      const file = log === undefined ? undefined : logFile(log);
      await withExitCodes(async () => {
        const line = await openPort(port, baud);
        progress(`${port} at ${baud} baud; Ctrl-] leaves`);
        if (stdin.isTTY) stdin.setRawMode(true);
        try {
          await attachConsole(line, {
            input: stdin,
            output: stdout,
            ...(file === undefined ? {} : { log: file }),
          });
        } finally {
          if (stdin.isTTY) stdin.setRawMode(false);
          stdin.pause();
          file?.end();
          await line.close();
        }
      });
    });
}

/** Throws VerbError where it cannot be written. */
function logFile(path: string): WriteStream {
  try {
    return createWriteStream(path, { fd: openSync(path, 'a') });
  } catch (error) {
    throw new VerbError(`the log cannot be written: ${(error as Error).message}`);
  }
}
