/** UDP sockets of Node's for what tests send by hand: numeric addresses only, bound before use. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';

/** Binds to a numeric `address`; port 0 lets the system choose. Rejects where that fails. */
export async function bindUdp(address: string, port: number): Promise<Socket> {
  const family = isIPv6(address) ? 6 : 4;
  const socket = createSocket({
    type: `udp${family}`,
    // Every address here is numeric: answering at once saves a turn of the event loop for each packet sent.
    lookup: (host, _options, done) => done(null, host, family),
  });
  const bound = once(socket, 'listening');
  try {
    socket.bind({ address, port, exclusive: true });
    await bound;
  } catch (error) {
    socket.close();
    throw error;
  }
  return socket;
}

export function closeUdp(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}
