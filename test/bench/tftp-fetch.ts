/**
 * Many TFTP clients in one process, so that their own cost is small and the same for each server: each fetches the same
 * file in lockstep, from an address of its own. Arguments: how many, server address, port, file, its length. Prints `seconds N`.
 */
import { createSocket } from 'node:dgram';
import { decodeTftp, encodeAck, encodeRead } from '../../firmware-stubs/simulated/tftp-wire.ts';

const [count, address, port, file, length] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const BLKSIZE = 1468;
const RETRY_MS = 1000;

function fetch(n: number): Promise<void> {
  const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) });
  return new Promise((resolve, reject) => {
    let latest = encodeRead(file, { blksize: BLKSIZE });
    let to = Number(port);
    let block = 0;
    let bytes = 0;
    const send = () => socket.send(latest, to, address);
    const timer = setInterval(() => send(), RETRY_MS);
    const end = (fault?: string) => {
      clearInterval(timer);
      socket.close();
      if (fault === undefined) resolve();
      else reject(new Error(fault));
    };
    socket.on('message', (message, from) => {
      const packet = decodeTftp(message);
      if (packet === undefined) return;
      if (packet.type === 'error') return end(`${address}: error ${packet.code}: ${packet.message}`);
      to = from.port;
      timer.refresh();
      if (packet.type === 'data') {
        if (packet.block !== ((block + 1) & 0xffff)) return;
        block++;
        bytes += packet.data.length;
      }
      latest = encodeAck(block);
      send();
      if (packet.type !== 'data' || packet.data.length === BLKSIZE) return;
      // The last ACK leaves before the socket closes.
      setImmediate(() => end(bytes === Number(length) ? undefined : `${bytes} bytes of ${length}`));
    });
    socket.bind(0, `10.89.0.${n + 1}`, send);
  });
}

const before = performance.now();
await Promise.all(Array.from({ length: Number(count) }, (_, n) => fetch(n)));
console.log(`seconds ${(performance.now() - before) / 1000}`);
