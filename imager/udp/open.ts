/** Which of the two implementations sockets are of. */
import { openNative } from './native.ts';
import { openPlain } from './plain.ts';
import type { UdpOptions, UdpSocket } from './socket.ts';

/**
 * Opens a socket: the native one (udp.c) where it is built, else Node's. Rejects with the system's error: EADDRINUSE,
 * EADDRNOTAVAIL, EACCES.
 */
export function openUdp(options: UdpOptions): Promise<UdpSocket> {
  return openNative(options) ?? openPlain(options);
}
