/** As calls.ts, on Node. */
import { NodeHost } from '../../../../agent/node/host.ts';
import { type Calls, made } from '../calls.ts';

console.log(JSON.stringify(made(new NodeHost(), JSON.parse(process.argv[2]!) as Calls)));
