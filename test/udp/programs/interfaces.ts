/** Prints one line: the interface of each address given. */
import { interfaceOf } from '../../../imager/udp/native.ts';

const found = process.argv.slice(2).map((address) => interfaceOf(address) ?? null);
console.log(`ready ${JSON.stringify(found)}`);
