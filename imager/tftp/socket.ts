/** UDP sockets as the server needs them: numeric addresses only, bound before use. */
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

/**
 * Binds to a port of the system's choice and connects to one peer: the kernel then lets nobody else in (it answers
 * strangers with ICMP port unreachable), and each packet costs less. Rejects where that fails.
 */
export async function connectUdp(address: string, peer: { address: string; port: number }): Promise<Socket> {
  const socket = await bindUdp(address, 0);
  const connected = once(socket, 'connect');
  try {
    socket.connect(peer.port, peer.address);
    await connected;
  } catch (error) {
    socket.close();
    throw error;
  }
  return socket;
}

export function closeUdp(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}
