/**
 * The server of the proofs: serves the store in DIR on a port of 127.0.0.1 of the system's choosing. Prints
 * "ready PORT", each event as "event JSON", and its log. Ends in order at SIGTERM. Makes one checkpoint
 * after another of the disks DISK..., which else come once in some megabytes. Usage: server.ts DIR [DISK...].
 */
import { writeSync } from 'node:fs';
import { pino } from 'pino';
import { Disks } from '../../../imager/disks/catalog.ts';
import { systemClock } from '../../../imager/journal/clock.ts';
import { NbdServer } from '../../../imager/nbd/server.ts';

const [dir, ...busy] = process.argv.slice(2);
const log = pino({}, { write: (line) => void writeSync(1, line) });
const disks = await Disks.open({ dir: dir!, log });
const server = await NbdServer.start({
  address: '127.0.0.1',
  port: 0,
  catalog: disks,
  sink: (event) => void writeSync(1, `event ${JSON.stringify(event)}\n`),
  clock: systemClock,
  log,
});
writeSync(1, `ready ${server.port}\n`);
let ending = false;
const checkpoints = busy.map(async (name) => {
  while (!ending) await disks.withOverlay(name, (overlay) => overlay.store.checkpoint());
});
process.once('SIGTERM', async () => {
  ending = true;
  await Promise.all(checkpoints);
  await server.close();
  await disks.close();
});
