/** UDP sockets as the server needs them: numeric addresses only, bound before use. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';

/** Binds to a numeric `address`; port 0 lets the system choose. Rejects where that fails. */
export async function bindUdp(address: string, port: number): Promise<Socket> {
  const socket = createSocket({
    type: isIPv6(address) ? 'udp6' : 'udp4',
    // Every address here is numeric: answering at once saves a turn of the event loop for each packet sent.
    lookup: (host, _options, done) => done(null, host, isIPv6(host) ? 6 : 4),
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
