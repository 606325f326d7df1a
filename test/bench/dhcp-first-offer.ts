/**
 * A relay agent that measures, in the namespace of the benchmark's client: for each of so many new clients, one after
 * the other, the milliseconds from DISCOVER to OFFER. Arguments: its own address, the server's, how many clients, and
 * how many before them that are not counted: a program's first datagrams cost itself more than any server. Prints the
 * times as a JSON array.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { encodeMessage } from '../../imager/dhcp/codec.ts';
import { request } from '../dhcp/fakes.ts';

const [own, server, count, before] = process.argv.slice(2) as [string, string, string, string];
const socket = createSocket('udp4');
socket.bind(67, own);
await once(socket, 'listening');
const times: number[] = [];
const hex = (byte: number) => (byte & 0xff).toString(16).padStart(2, '0');
const total = Number(before) + Number(count);
for (let n = 0; n < total; n++) {
  const mac = `02:f0:${hex(process.pid >> 8)}:${hex(process.pid)}:${hex(n >> 8)}:${hex(n)}`;
  const start = performance.now();
  socket.send(encodeMessage(request('discover', { giaddr: own, hops: 1, mac, xid: n })).bytes, 67, server);
  await once(socket, 'message');
  if (n >= Number(before)) times.push(performance.now() - start);
}
socket.close();
console.log(JSON.stringify(times));
