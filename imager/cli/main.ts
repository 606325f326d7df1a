#!/usr/bin/env node
/** Runs the imager's command line (program.ts) and turns what goes wrong into words and an exit code. */
import { CommanderError } from 'commander';
import { plain } from '../../agent/protocol/plain.ts';
import { wordsOf } from '../../agent/protocol/words-of.ts';
import { ConfigError } from '../model/fault.ts';
import { pathWords } from '../storage/system-words.ts';
import { NotReachableError, SerialError, UsageError, VerbError } from './failure.ts';
import { commandLine } from './program.ts';
import { outliveReaders } from './terminal.ts';

/** The exit code of a verb that threw; what is worth reading has been printed. */
function report(error: unknown): number {
  // Commander has printed its own message; help and version are no failures.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const message = plain(pathWords(error) ?? wordsOf(error));
  process.stderr.write(error instanceof ConfigError ? `${message}\n` : `imager: ${message}\n`);
  if (error instanceof ConfigError) return 2;
  const known = [VerbError, UsageError, NotReachableError, SerialError].find((kind) => error instanceof kind);
  return known === undefined ? 1 : (error as SerialError).exitCode;
}

outliveReaders();

try {
  await (await commandLine(process.argv.slice(2))).parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
