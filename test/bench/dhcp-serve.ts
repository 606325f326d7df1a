/**
 * Our DHCP server in a process of its own, for the benchmark: leases in LMDB as the imager has them, no events, since
 * the peers' logs are off as well.
 * Arguments: server address, prefix, first and last address of the pool, the registry's folder. Prints `ready PORT`.
 */
import { pino } from 'pino';
import { DhcpServer } from '../../imager/dhcp/server.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import { LmdbRegistry } from '../../imager/registry/lmdb.ts';

const [serverAddress, prefix, from, to, folder] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const log = pino({ level: 'silent' });
const server = await DhcpServer.start({
  config: {
    serverAddress,
    prefix: Number(prefix),
    pools: [{ from, to }],
    leaseSeconds: 3600,
    bootFile: () => undefined,
  },
  reservations: {
    byMac: () => undefined,
    byUid: () => undefined,
    byClientId: () => undefined,
    byCircuit: () => undefined,
    byAddress: () => undefined,
    byNode: () => undefined,
  },
  inUse: () => false,
  registry: await LmdbRegistry.open(folder),
  sink: () => {},
  clock: systemClock,
  log,
});
console.log(`ready ${server.port}`);
process.once('SIGTERM', () => {
  console.log(`stats ${JSON.stringify(server.stats())}`);
  process.exit();
});
