/** Entry of the static binary. */
import { program } from '../program.ts';
import { start } from './start.ts';

start(program);
