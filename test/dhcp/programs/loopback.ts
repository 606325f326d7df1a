/**
 * A DHCP server on loopback with a pool of 1000, its leases in LMDB in the folder of the first argument, as a process
 * that can be killed. The node n1 (02:00:00:00:00:00) has 127.0.0.50. Prints `ready PORT`, and on SIGTERM `stats JSON`.
 */
import { pino } from 'pino';
import { DhcpServer } from '../../../imager/dhcp/server.ts';
import { systemClock } from '../../../imager/journal/clock.ts';
import { LmdbRegistry } from '../../../imager/registry/lmdb.ts';
import { fixedReservations } from '../fakes.ts';

const registry = await LmdbRegistry.open(process.argv[2]!);
const server = await DhcpServer.start({
  config: {
    serverAddress: '127.0.0.1',
    prefix: 8,
    pools: [{ from: '127.1.0.1', to: '127.1.3.232' }],
    leaseSeconds: 3600,
    bootFile: () => ({ file: 'boot.img' }),
  },
  reservations: fixedReservations([{ node: 'n1', mac: '02:00:00:00:00:00', address: '127.0.0.50' }]),
  inUse: () => false,
  registry,
  sink: () => {},
  clock: systemClock,
  log: pino({ level: 'error' }, pino.destination(2)),
  ports: { server: 0, client: 68 },
  listenAddress: '127.0.0.1',
});
console.log(`ready ${server.port}`);

process.on('SIGTERM', async () => {
  const stats = { ...server.stats(), rss: process.memoryUsage.rss() };
  await server.close();
  await registry.close();
  console.log(`stats ${JSON.stringify(stats)}`);
});
