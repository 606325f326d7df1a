/** A process that ends, argv[3] turns of its event loop after it began to bring the tree in folder argv[2] up to date. */
import { LmdbTree } from '../../imager/registry/lmdb-tree.ts';

const tree = await LmdbTree.open(process.argv[2]!);
const value = new Uint8Array(600);
const writes = Array.from({ length: 3000 }, (_, n) => [`n\0${n}\0`, { revision: n + 1, value }] as const);
void tree.apply(new Map(writes), writes.length);
for (let turn = 0; turn < Number(process.argv[3]); turn++) await new Promise((next) => setImmediate(next));
process.exit();
