/** Opens the registry in a directory, reads all of it, and prints how that went. */
import { LmdbRegistry } from '../../imager/registry/lmdb.ts';

const words = await LmdbRegistry.open(process.argv[2]!)
  .then((registry) => `opened at ${registry.revision()} with ${registry.range([]).length}`)
  .catch((error: Error) => error.message);
console.log(words);
process.exit();
