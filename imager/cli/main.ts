#!/usr/bin/env node
/** Runs the imager's command line (program.ts) and turns what goes wrong into words and an exit code. */
import { CommanderError } from 'commander';
import { ConfigError } from '../model/fault.ts';
import { NotReachableError, VerbError } from './failure.ts';
import { commandLine } from './program.ts';

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
