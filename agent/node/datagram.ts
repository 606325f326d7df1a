/**
 * Datagrams of the Node host. Node cannot bind a socket to an interface (SO_BINDTODEVICE), so it is bound to the interface's
 * address: where another interface has a better route to the peer, the datagram leaves by that.
 */
import { createSocket } from 'node:dgram';
import { HostError } from '../linux/host.ts';
import { hostError } from './errors.ts';

/** As Host.ask(), from the address `own`. */
export async function ask(
  own: string | undefined,
  peer: { address: string; port: number },
  bytes: Uint8Array,
  timeoutMs: number,
): Promise<Uint8Array | undefined> {
  if (own === undefined) throw new HostError('EADDRNOTAVAIL', 'ask: the interface has no address');
  const socket = createSocket('udp4');
  const timer: { stop?: NodeJS.Timeout } = {};
  try {
    return await new Promise((resolve, reject) => {
      timer.stop = setTimeout(resolve, timeoutMs, undefined);
      socket.once('error', (error) => reject(hostError(error)));
      socket.once('message', (answer) => resolve(new Uint8Array(answer)));
      socket.bind(0, own, () =>
        socket.connect(peer.port, peer.address, (error?: Error) => {
          if (error) reject(hostError(error));
          else socket.send(bytes);
        }),
      );
    });
  } finally {
    clearTimeout(timer.stop);
    socket.close();
  }
}
