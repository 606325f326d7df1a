#!/usr/bin/env node
/** Entry of the agent on Node. */
import { program } from '../program.ts';
import { NodeHost } from './host.ts';

await program(new NodeHost(), process.argv.slice(2));
