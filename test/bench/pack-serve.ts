/**
 * The imager's side of a boot from a pack: the store in DIR over NBD and its packs over HTTP. Usage: pack-serve.ts DIR.
 * Prints "ready NBD-PORT HTTP-PORT"; GET /requests gives how many NBD requests open connections sent.
 */
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import Fastify from 'fastify';
import { pino } from 'pino';
import { Disks } from '../../imager/disks/catalog.ts';
import { addBootFileRoutes } from '../../imager/http/boot-file-routes.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import { Tally } from '../../imager/journal/tally.ts';
import { NbdServer } from '../../imager/nbd/server.ts';
import { Packs } from '../../imager/packs/packs.ts';

const dir = process.argv[2]!;
const log = pino({ level: 'silent' });
const disks = await Disks.open({ dir, log });
const packs = new Packs({ disks, dir: join(dir, 'bases'), log });
const common = { clock: systemClock, sink: () => {}, log };
const server = await NbdServer.start({ ...common, address: '127.0.0.1', port: 0, catalog: packs });
const app = Fastify();
app.get('/requests', async () => server.connections().reduce((sum, { requests }) => sum + requests, 0));
addBootFileRoutes(app, {
  ...common,
  tally: new Tally(log),
  files: packs.files({ open: async () => undefined }),
});
await app.listen({ host: '127.0.0.1', port: 0 });
console.log(`ready ${server.port} ${(app.server.address() as AddressInfo).port}`);
