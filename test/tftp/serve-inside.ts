/** Serves one file, for tests in a network namespace. Arguments: address, port. */
import { sampleBytes, serve } from './served.ts';

const [address, port] = process.argv.slice(2);
const { server } = await serve({ kernel: sampleBytes(300_000) }, { address: address!, port: Number(port) });
console.log(`ready ${server.port}`);
