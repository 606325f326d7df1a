#!/usr/bin/env node
/** Entry of the agent on Node. */
import { main } from '../main.ts';
import { NodeHost } from './host.ts';

await main(new NodeHost(), process.argv.slice(2));
