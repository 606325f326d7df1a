/**
 * Sends more at once than the link takes, and then an answer that was expected to be needed while most still waits; prints
 * one line when all of it has come.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { openNative } from '../../../imager/udp/native.ts';

const PACKETS = 600;
/** So many have come when the question is asked. */
const SOME = 20;
const socket = await openNative({ address: '127.0.0.1', port: 0 })!;
const peer = createSocket('udp4');
peer.bind(0, '127.0.0.1');
await once(peer, 'listening');
let sent = 0;
let failed = 0;
const seen: number[] = [];
const question = Buffer.from('??');
const answer = Buffer.alloc(4);
answer.writeUInt32BE(PACKETS);
peer.on('message', (bytes) => {
  seen.push(bytes.readUInt32BE());
  if (seen.length === SOME) peer.send(question, socket.port, '127.0.0.1');
  if (seen.length <= PACKETS) return;
  const ordered = seen.every((number, index) => number === index);
  console.log(`ready ${JSON.stringify({ atOnce, sent, failed, ordered })}`);
  process.exit(0);
});
socket.listen({
  receive: (_bytes, address, port, answered) => {
    if (!answered) socket.send(answer, port, address);
  },
  failed: () => failed++,
});
socket.expect!(
  { question, head: answer, bodies: Buffer.alloc(0), size: 1 },
  peer.address().port,
  '127.0.0.1',
);
const bytes = Buffer.alloc(1400);
for (let number = 0; number < PACKETS; number++) {
  bytes.writeUInt32BE(number);
  socket.send(bytes, peer.address().port, '127.0.0.1', (error) => {
    if (error === null) sent++;
    else failed++;
  });
}
const atOnce = sent;
