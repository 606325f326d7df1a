/** The HTTP servers: boot files, read API and metrics for the nodes' network; read and control API on a Unix socket. */

import { unlink } from 'node:fs/promises';
import type { Socket } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { BootFiles } from '../images/boot-files.ts';
import type { Clock } from '../journal/clock.ts';
import type { EventSink } from '../journal/event.ts';
import { Tally } from '../journal/tally.ts';
import { addBootFileRoutes, refuseUnread } from './boot-file-routes.ts';
import { addControlRoutes, type Controls } from './control-routes.ts';
import { answerErrors } from './errors.ts';
import { answerMalformed } from './malformed.ts';
import { metricsOf } from './metrics.ts';
import { Pipelining } from './pipelining.ts';
import type { ReadModel } from './read-model.ts';
import { addReadRoutes } from './read-routes.ts';

export interface HttpServerOptions {
  address: string;
  /** 0: chosen by the system. */
  port: number;
  files: BootFiles;
  model: ReadModel;
  sink: EventSink;
  clock: Clock;
  log: Logger;
  maxConnections?: number;
  /** The same for one client address. */
  maxPerAddress?: number;
  /** Certificate chain and key, PEM: HTTPS instead of HTTP, the same routes. */
  tls?: { cert: Buffer; key: Buffer };
}

const MAX_CONNECTIONS = 1024;
/** Firmware and loaders open a few at a time; one host must not take them all. */
const MAX_PER_ADDRESS = 32;
/** A node whose power was cut in a transfer says nothing any more. */
const STALLED_MS = 60_000;
/** What a closing server leaves transfers under way. */
const CLOSE_MS = 2000;
/** sun_path of unix(7) without its final NUL. */
const MAX_SOCKET_PATH = 107;

export class HttpServer {
  readonly #app: FastifyInstance;
  readonly #tally: Tally;
  /** Open connections by client address. */
  readonly #connections = new Map<string, number>();
  /** All of them: Node counts those that have not finished their TLS handshake as none of HTTP's. */
  readonly #sockets = new Set<Socket>();
  readonly #pipelining = new Pipelining();

  private constructor(app: FastifyInstance, log: Logger) {
    this.#app = app;
    this.#tally = new Tally(log);
  }

  /**
   * Listens on the nodes' network. Rejects with the system's error where it cannot, and with OpenSSL's where
   * certificate and key are none or do not belong together.
   */
  static async start(options: HttpServerOptions): Promise<HttpServer> {
    const { address, port, files, model, sink, clock, log, tls } = options;
    const app = Fastify({
      bodyLimit: 64 * 1024,
      connectionTimeout: STALLED_MS,
      requestTimeout: STALLED_MS,
      forceCloseConnections: 'idle',
      routerOptions: { maxParamLength: 1024 },
      // Typed for one kind of server or the other; what is used here is common to both.
      https: (tls ?? null) as null,
      clientErrorHandler: (error, socket) => {
        const address = socket.remoteAddress;
        const reason = answerMalformed(error, socket);
        if (reason !== undefined) server.#dropped(reason, address);
      },
      frameworkErrors: (error, request, reply) => {
        if (server.#takes(request, reply)) refuseUnread(serving, error, request, reply);
      },
    });
    const server = new HttpServer(app, log);
    const serving = { files, sink, clock, tally: server.#tally };
    answerErrors(app, log, { inside: false });
    app.addHook('onRequest', async (request, reply) => {
      server.#tally.count('requests');
      if (!server.#takes(request, reply)) return reply.hijack();
    });
    addReadRoutes(app, model);
    addBootFileRoutes(app, serving);
    const metrics = metricsOf(model);
    app.get('/metrics', async (_request, reply) =>
      reply.type(metrics.contentType).send(await metrics.metrics()),
    );
    app.server.maxConnections = options.maxConnections ?? MAX_CONNECTIONS;
    app.server.on('drop', (dropped) => server.#dropped('too-many-connections', dropped?.remoteAddress));
    app.server.on('connection', (socket: Socket) =>
      server.#admit(socket, options.maxPerAddress ?? MAX_PER_ADDRESS),
    );
    if (tls !== undefined) app.server.on('secureConnection', (socket: Socket) => server.#isThere(socket));
    await app.listen({ host: address, port });
    app.server.on('error', (error) => noteAcceptError(server.#tally, error));
    return server;
  }

  get port(): number {
    const address = this.#app.server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  stats(): Record<string, number> {
    return this.#tally.stats();
  }

  /** Stops listening, gives transfers under way two seconds, then ends them. */
  close(): Promise<void> {
    return closeApp(this.#app, () => {
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  /** False, and the socket is gone, where the client reset it before it was taken: nobody knows whose it was. */
  #isThere(socket: Socket): boolean {
    if (socket.remoteAddress !== undefined) return true;
    this.#tally.count('dropped.gone');
    socket.destroy();
    return false;
  }

  #admit(socket: Socket, most: number): void {
    if (!this.#isThere(socket)) return;
    const address = socket.remoteAddress!;
    const open = this.#connections.get(address) ?? 0;
    if (open >= most) {
      this.#dropped('too-many-per-address', address);
      socket.destroy();
      return;
    }
    this.#connections.set(address, open + 1);
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      const left = (this.#connections.get(address) ?? 1) - 1;
      if (left > 0) this.#connections.set(address, left);
      else this.#connections.delete(address);
    });
  }

  /** False, and the connection is gone, where its client has reset it, or sent too many requests before it had its answers. */
  #takes({ raw: { socket } }: FastifyRequest, reply: FastifyReply): boolean {
    // What was read with the end of a TLS handshake comes all the same.
    if (socket.destroyed) return false;
    if (this.#pipelining.takes(socket, reply.raw)) return true;
    // Those that came with it in one packet are none of their own.
    if (!socket.destroyed) this.#dropped('too-many-unanswered', socket.remoteAddress);
    socket.destroy();
    return false;
  }

  #dropped(reason: string, address: string | undefined): void {
    const words = 'HTTP connection dropped; further ones are counted';
    this.#tally.notice(`dropped.${reason}`, { reason, address }, words);
  }
}

export class ControlServer {
  readonly #app: FastifyInstance;
  readonly path: string;

  private constructor(app: FastifyInstance, path: string) {
    this.#app = app;
    this.path = path;
  }

  /**
   * Listens on the Unix socket `path`, mode 0600. A socket left there is replaced: the caller holds the lock of the
   * state directory.
   */
  static async start(o: {
    path: string;
    model: ReadModel;
    controls: Controls;
    log: Logger;
  }): Promise<ControlServer> {
    if (Buffer.byteLength(o.path) > MAX_SOCKET_PATH)
      throw new Error(
        `path of the control socket has ${Buffer.byteLength(o.path)} bytes, at most ${MAX_SOCKET_PATH}: ` +
          `choose a shorter state directory (${o.path})`,
      );
    const app = Fastify({ bodyLimit: 64 * 1024, forceCloseConnections: 'idle' });
    answerErrors(app, o.log, { inside: true });
    addReadRoutes(app, o.model);
    addControlRoutes(app, o.controls);
    await unlink(o.path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await app.ready();
    // The socket must never be there with wider permissions, not even for the moment before a chmod.
    const mask = process.umask(0o177);
    try {
      await app.listen({ path: o.path });
    } finally {
      process.umask(mask);
    }
    const tally = new Tally(o.log);
    app.server.on('error', (error) => noteAcceptError(tally, error));
    return new ControlServer(app, o.path);
  }

  close(): Promise<void> {
    return closeApp(this.#app, () => this.#app.server.closeAllConnections());
  }
}

/** A connection that the system could not give: without a listener that would be the end of the process. */
function noteAcceptError(tally: Tally, { message }: Error): void {
  tally.notice('accept-errors', { message }, 'HTTP connection not accepted; further ones are counted');
}

async function closeApp(app: FastifyInstance, endAll: () => void): Promise<void> {
  const timer = setTimeout(endAll, CLOSE_MS);
  await app.close().finally(() => clearTimeout(timer));
}
