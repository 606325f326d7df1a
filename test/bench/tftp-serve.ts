/**
 * One TFTP server in a process of its own, for the benchmark. Arguments: ours | npm, address, root directory, and
 * optionally the share of packets to lose on a relay in front of it. Prints `ready PORT`.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import tftp from 'tftp';
import type { BootFiles } from '../../imager/images/boot-files.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import { TftpServer } from '../../imager/tftp/server.ts';
import { LossyRelay } from '../tftp/lossy-relay.ts';

const [kind, address, root, loss] = process.argv.slice(2) as [string, string, string, string | undefined];
/** Both sides may use windows as large as they like. */
const WINDOW = 64;

const files: BootFiles = {
  async open(path) {
    const handle = await open(join(root, path), 'r');
    const { size } = await handle.stat();
    return {
      size,
      async read(target, offset) {
        return (await handle.read(target, 0, target.length, offset)).bytesRead;
      },
      close: () => handle.close(),
    };
  },
};

async function ours(): Promise<number> {
  const log = pino({ level: 'silent' });
  const sink = () => {};
  return (await TftpServer.start({ address, port: 0, files, sink, clock: systemClock, log })).port;
}

async function npm(): Promise<number> {
  const port = 6969;
  const server = tftp.createServer({ host: address, port, root, blockSize: 65464, windowSize: WINDOW });
  server.on('error', (error) => console.error(error));
  server.on('request', (request) => request.on('error', () => {}));
  const listening = new Promise((resolve) => server.on('listening', resolve));
  server.listen();
  await listening;
  return port;
}

const port = await (kind === 'ours' ? ours() : npm());
const relay = loss === undefined ? undefined : await LossyRelay.open(port, { loss: Number(loss) });
console.log(`ready ${relay?.port ?? port}`);
