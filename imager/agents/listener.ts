/** The agent port's TCP connections, secured or not: listening, how many there may be, and the end of them all. */
import type { Socket } from 'node:net';
import type { Server } from 'node:tls';

export class Listener {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /**
   * Listens (`port` 0: chosen by the system) for `maxConnections` at most; `full` is called for each one more, `failed` where
   * the system could not give one. Rejects with the system's error where it cannot.
   */
  async listen(
    address: string,
    port: number,
    { maxConnections, full, failed }: { maxConnections: number; full(): void; failed(error: Error): void },
  ): Promise<void> {
    const server = this.#server;
    server.maxConnections = maxConnections;
    server.on('drop', full);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, address, () => {
        server.off('error', reject);
        resolve();
      });
    });
    server.on('error', failed);
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Takes no more connections. Resolves when none is left; those that are open after `lateMs` are cut off. */
  async close(lateMs: number): Promise<void> {
    const late = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, lateMs);
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    clearTimeout(late);
  }
}
