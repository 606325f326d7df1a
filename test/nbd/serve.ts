/**
 * A server for the tests with real clients: serves the store in DIR on a port of the system's choosing.
 * Usage: serve.ts DIR [ADDRESS [LINGER_MS]]. Prints "ready PORT PID" and each event; ends in order at SIGTERM.
 */
import { pino } from 'pino';
import { Disks } from '../../imager/disks/catalog.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import { NbdServer } from '../../imager/nbd/server.ts';

const [dir, address = '127.0.0.1', lingerMs = '0'] = process.argv.slice(2);
const log = pino({ level: 'silent' });
const disks = await Disks.open({ dir: dir!, log, lingerMs: Number(lingerMs) });
const server = await NbdServer.start({
  address,
  port: 0,
  catalog: disks,
  sink: (event) => process.stdout.write(`event ${JSON.stringify(event)}\n`),
  clock: systemClock,
  log,
});
process.stdout.write(`ready ${server.port} ${process.pid}\n`);
process.once('SIGTERM', async () => {
  await server.close();
  await disks.close();
  const peakKiB = process.resourceUsage().maxRSS;
  process.stdout.write(`closed ${JSON.stringify({ ...server.stats(), peakKiB })}\n`);
});
