/**
 * Requests that a client sends before its earlier ones are answered. Node hands each of them to its handler at once, and says nothing
 * of the end of an answer whose turn had not come when the connection goes.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Unanswered requests of one connection: firmware, loaders and curl send the next one when they have the answer. */
export const MAX_UNANSWERED = 4;

export class Pipelining {
  readonly #unanswered = new WeakMap<Socket, Set<ServerResponse>>();

  /** Whether a request on `socket` is to be answered with `response`: false where too many before it are not. */
  takes(socket: Socket, response: ServerResponse): boolean {
    const unanswered = this.#unanswered.get(socket) ?? this.#follow(socket);
    if (unanswered.size >= MAX_UNANSWERED) return false;
    unanswered.add(response);
    response.once('close', () => unanswered.delete(response));
    return true;
  }

  /** With the connection all of its answers end, those as well that were never the socket's. */
  #follow(socket: Socket): Set<ServerResponse> {
    const unanswered = new Set<ServerResponse>();
    this.#unanswered.set(socket, unanswered);
    socket.once('close', () => {
      for (const response of unanswered)
        if (response.socket === null) {
          response.destroy();
          // What Node does for the one whose turn it is.
          response.emit('close');
        }
    });
    return unanswered;
  }
}
