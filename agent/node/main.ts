#!/usr/bin/env node
/** Entry of the agent on Node. */
import { CommanderError } from 'commander';
import { LocalRefusedError, LocalUnverifiedError } from '../protocol/local-content.ts';
import { plain } from '../protocol/plain.ts';
import { PointerRefusedError, PointerStoreError } from '../protocol/pointer/store.ts';
import { agentProgram } from './cli.ts';
import { NodeHost } from './host.ts';

try {
  const exit = (code: number) => {
    process.exitCode = code;
  };
  agentProgram(new NodeHost(), (text) => console.log(text), exit).parse();
} catch (error) {
  // Commander has told its own errors already.
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    console.error(plain(`agent: ${error instanceof Error ? error.message : String(error)}`));
    process.exitCode = exitCodeOf(error);
  }
}

/** As `agent --help` lists them. */
function exitCodeOf(error: unknown): number {
  if (error instanceof PointerRefusedError || error instanceof LocalRefusedError) return 4;
  return error instanceof PointerStoreError || error instanceof LocalUnverifiedError ? 5 : 1;
}
