/** The part of npm `tftp` 0.1.2 that the tests use; the package comes without types. */
declare module 'tftp' {
  import type { EventEmitter } from 'node:events';
  import type { Readable, Writable } from 'node:stream';

  interface ClientOptions {
    host: string;
    port: number;
    blockSize?: number;
    windowSize?: number;
    retries?: number;
    /** Milliseconds. */
    timeout?: number;
  }
  interface ServerOptions extends ClientOptions {
    root: string;
    denyPUT?: boolean;
  }
  interface Client {
    createGetStream(file: string): Readable;
  }
  interface Server extends EventEmitter {
    listen(): void;
    close(): void;
    requestListener(request: EventEmitter, response: Writable): void;
  }
  export function createClient(options: ClientOptions): Client;
  export function createServer(
    options: ServerOptions,
    listener?: (this: Server, request: EventEmitter, response: Writable) => void,
  ): Server;
}
