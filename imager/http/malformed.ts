/** What Node's parser finds to be no HTTP: answered in a line, and counted. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

/** Codes of node:http's 'clientError' that deserve another answer than 400. */
const STATUS: Record<string, number> = { ERR_HTTP_REQUEST_TIMEOUT: 408, HPE_HEADER_OVERFLOW: 431 };

/** Ends the connection. Gives why, for a counter; undefined where it is the client that has gone. */
export function answerMalformed(
  error: NodeJS.ErrnoException,
  socket: Socket,
): 'malformed' | 'stalled' | undefined {
  if (error.code === 'ECONNRESET' || socket.destroyed) return undefined;
  const status = STATUS[error.code ?? ''] ?? 400;
  if (socket.writable)
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
    );
  socket.destroy();
  return status === 408 ? 'stalled' : 'malformed';
}
