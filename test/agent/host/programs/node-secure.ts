/** The contract of TLS on Node, in a process with an environment of its own. Prints what it saw. */
import { NodeHost } from '../../../../agent/node/host.ts';
import { runSecureContract } from '../../../contract/secure.ts';

const { peers, signed } = JSON.parse(process.argv[2]!);
console.log(JSON.stringify(await runSecureContract(new NodeHost(), peers, signed)));
