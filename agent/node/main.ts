#!/usr/bin/env node
/** Entry of the agent on Node. */
import { CommanderError } from 'commander';
import { agentProgram } from './cli.ts';
import { NodeHost } from './host.ts';

try {
  agentProgram(new NodeHost(), (text) => console.log(text)).parse();
} catch (error) {
  // Commander has told its own errors already. 1: it failed, 2: wrong usage.
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    console.error(`agent: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
