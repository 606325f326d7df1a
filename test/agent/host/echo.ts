/** The peer of the host contract: sends back what comes, ends after `bye`. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { listening } from '../../support/listening.ts';

export async function startEcho(): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => {
    socket.on('data', (chunk) => {
      socket.write(chunk);
      if (chunk.subarray(-3).toString() === 'bye') socket.end();
    });
    socket.on('error', () => socket.destroy());
  });
  return { server, port: await listening(server) };
}

/** A port that was free a moment ago and that nobody listens on. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  server.close();
  await once(server, 'close');
  return port;
}
