/** Servers of tests, on a port that is free. */
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';

/** Has it listen on loopback; gives its port. */
export async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
