/** One TFTP server in a process of its own, for the benchmark. Arguments: ours | npm, address, root directory. Prints `ready`. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import tftp from 'tftp';
import type { BootFiles } from '../../imager/images/boot-files.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import { TftpServer } from '../../imager/tftp/server.ts';

const [kind, address, root] = process.argv.slice(2) as [string, string, string];
const PORT = 69;
/** Both sides may use windows as large as they like. */
const WINDOW = 64;

const files: BootFiles = {
  async open(path) {
    const handle = await open(join(root, path), 'r');
    const { size, mtimeMs } = await handle.stat();
    return {
      size,
      version: `${mtimeMs}`,
      async read(target, offset) {
        return (await handle.read(target, 0, target.length, offset)).bytesRead;
      },
      close: () => handle.close(),
    };
  },
};

async function ours(): Promise<void> {
  const log = pino({ level: 'silent' });
  const sink = () => {};
  await TftpServer.start({ address, port: PORT, files, sink, clock: systemClock, log });
}

async function npm(): Promise<void> {
  const server = tftp.createServer({ host: address, port: PORT, root, blockSize: 65464, windowSize: WINDOW });
  server.on('error', (error) => console.error(error));
  server.on('request', (request) => request.on('error', () => {}));
  const listening = new Promise((resolve) => server.on('listening', resolve));
  server.listen();
  await listening;
}

await (kind === 'ours' ? ours() : npm());
console.log('ready');
