/** Runs a DHCP server for the tests: settings as JSON in the first argument, events as JSON lines on stdout. */
import { pino } from 'pino';
import { DhcpServer } from '../../../imager/dhcp/server.ts';
import { systemClock } from '../../../imager/journal/clock.ts';
import { LmdbRegistry } from '../../../imager/registry/lmdb.ts';
import { MemoryRegistry } from '../../../imager/registry/memory.ts';
import { fixedReservations } from '../fakes.ts';
import type { ServeSettings } from '../lab.ts';

const settings = JSON.parse(process.argv[2]!) as ServeSettings;
const registry =
  settings.directory === undefined ? new MemoryRegistry() : await LmdbRegistry.open(settings.directory);

const server = await DhcpServer.start({
  config: {
    serverAddress: '10.77.0.1',
    prefix: 24,
    router: '10.77.0.1',
    dns: ['10.77.0.1'],
    leaseSeconds: settings.leaseSeconds ?? 3600,
    ...(settings.pool === undefined ? {} : { pools: [settings.pool] }),
    ...settings.config,
    bootFile: ({ userClass, vendorClass, arch }) => {
      if (vendorClass?.startsWith('HTTPClient')) return { file: 'http://10.77.0.1/boot.efi' };
      if (userClass === 'iPXE') return { file: 'http://10.77.0.1/boot.ipxe' };
      return { file: `boot-${arch ?? 'any'}.img` };
    },
  },
  reservations: fixedReservations(settings.reservations ?? []),
  inUse: () => false,
  registry,
  sink: (event) => console.log(`event ${JSON.stringify(event)}`),
  clock: systemClock,
  log: pino({ level: 'warn' }, pino.destination(2)),
});
console.log(`pid ${process.pid}`);
console.log(`ready ${server.port} ${JSON.stringify(server.leases())}`);

process.on('SIGTERM', async () => {
  await server.close();
  await registry.close();
  console.log(`stats ${JSON.stringify(server.stats())}`);
});
