/**
 * Connections that mean no good, of three kinds: silent ones, ones that break off in mid-handshake, and ones that
 * open a base, ask for 8 MiB and read nothing. Usage: storm.ts PORT COUNT. Holds all that the server lets it; prints
 * "done ..." once all were tried.
 */
import { connect, type Socket } from 'node:net';
import { CLIENT_FLAGS, infoRequest, option, READ, request } from './raw-client.ts';

const [port, count] = process.argv.slice(2).map(Number) as [number, number];
const WAVE = 100;
/** An address has a few of them; they are as many as nodes of a large cluster. */
const ADDRESSES = 250;
const reads = Array.from({ length: 8 }, (_, i) => request({ type: READ, length: 2 ** 20, cookie: i }));
const open = new Set<Socket>();
let lost = 0;

function one(index: number): Promise<void> {
  return new Promise((resolve) => {
    const localAddress = `127.2.0.${1 + (index % ADDRESSES)}`;
    const socket = connect({ host: '127.0.0.1', port, localAddress });
    open.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      lost++;
      open.delete(socket);
      resolve();
    });
    socket.once('connect', () => {
      socket.pause();
      if (index % 3 === 1) socket.write(Buffer.concat([CLIENT_FLAGS, option(3).subarray(0, 9)]));
      if (index % 9 === 2)
        socket.write(Buffer.concat([CLIENT_FLAGS, option(7, infoRequest('base:b')), ...reads]));
      resolve();
    });
  });
}

for (let index = 0; index < count; index += WAVE)
  await Promise.all(Array.from({ length: Math.min(WAVE, count - index) }, (_, i) => one(index + i)));
process.stdout.write(`done ${count} connections, ${lost} of them ended by the server, ${open.size} held\n`);
setInterval(() => {}, 60_000);
