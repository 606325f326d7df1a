/** The peer of the host contract: sends back what comes, ends after `bye`. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

export async function startEcho(): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => {
    socket.on('data', (chunk) => {
      socket.write(chunk);
      if (chunk.subarray(-3).toString() === 'bye') socket.end();
    });
    socket.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: portOf(server) };
}

/** A port that was free a moment ago and that nobody listens on. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = portOf(server);
  server.close();
  await once(server, 'close');
  return port;
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port;
}
