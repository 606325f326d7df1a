/** Boot files over HTTP: GET and HEAD, ranges, streamed as fast as the client takes them. */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type BootFile, type BootFiles, NotServed } from '../images/boot-files.ts';
import type { Clock } from '../journal/clock.ts';
import type { BootEvent, EventSink } from '../journal/event.ts';
import type { Tally } from '../journal/tally.ts';
import { entityTag, isKnown, rangeCounts } from './conditional.ts';
import { ApiError, FAILED } from './errors.ts';
import { rangeOf } from './range.ts';

/** Bytes read from a file at a time: the most that waits in memory for one slow client, twice. */
const CHUNK = 256 * 1024;

export interface BootFileServing {
  files: BootFiles;
  sink: EventSink;
  clock: Clock;
  tally: Tally;
}

/** Adds the routes of the boot files to `app`. */
export function addBootFileRoutes(app: FastifyInstance, serving: BootFileServing): void {
  app.route<{ Params: { '*': string } }>({
    method: ['GET', 'HEAD'],
    url: '/*',
    handler: (request, reply) => serve(serving, request.params['*'], request, reply),
  });
  app.route<{ Params: { '*': string } }>({
    method: ['POST', 'PUT', 'PATCH', 'DELETE'],
    url: '/*',
    // Before a body is read: whatever it is.
    onRequest: (request, reply) => refuseMethod(serving, request.params['*'], request, reply),
    handler: (_request, reply) => reply.callNotFound(),
  });
}

/** Below these are no boot files: what cannot be read there is a mistake of somebody who reads, and of no boot. */
const NO_BOOT_FILES = /^(?:api|health|metrics)\//;

/** The answer to a path the router could not read: nothing has such a name, and the journal says why of a boot file. */
export function refuseUnread(
  serving: BootFileServing,
  { statusCode = 400, code, message }: { statusCode?: number; code: string; message: string },
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  if (code !== 'FST_ERR_BAD_URL') return void reply.code(statusCode).send({ error: message });
  const path = (request.raw.url ?? '').replace(/^\/+|\?.*$/gs, '');
  const why = 'its percent signs are no encoding';
  const name = JSON.stringify(`/${path.slice(0, 200)}`);
  if (NO_BOOT_FILES.test(path))
    return void reply.code(statusCode).send({ error: `there is no ${name} here: ${why}` });
  refuse(serving, 'not-found', path, addressOf(request), why);
  reply.code(statusCode).send({ error: `no boot file ${name}: ${why}` });
}

function addressOf(request: FastifyRequest): string {
  return request.ip.replace(/^::ffff:/, '');
}

/** Throws ApiError where the path is a boot file's. */
async function refuseMethod(
  serving: BootFileServing,
  path: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  if (NO_BOOT_FILES.test(path)) return;
  const file = await serving.files.open(path, { address: addressOf(request) }).catch(() => undefined);
  if (file === undefined) return;
  await file.close();
  reply.header('allow', 'GET, HEAD');
  throw new ApiError(405, 'a boot file is only read: GET and HEAD');
}

async function serve(
  serving: BootFileServing,
  path: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (NO_BOOT_FILES.test(path)) throw new ApiError(404, `there is no ${JSON.stringify(`/${path}`)} here`);
  const address = addressOf(request);
  // Which of the transfers of one client an event is about.
  const port = request.raw.socket.remotePort ?? 0;
  const file = await serving.files.open(path, { address }).catch((error: Error) => {
    if (error instanceof NotServed) {
      refuse(serving, 'not-found', path, address, error.message);
      throw new ApiError(404, `no boot file ${JSON.stringify(path.slice(0, 200))}: ${error.message}`);
    }
    refuse(serving, 'unreadable', path, address, 'the file cannot be opened', error);
    throw new ApiError(500, FAILED);
  });
  if (file === undefined) {
    refuse(serving, 'not-found', path, address, 'no such file');
    throw new ApiError(404, `no boot file ${JSON.stringify(path.slice(0, 200))}`);
  }
  if (reply.raw.destroyed) {
    await file.close();
    leftEarly(serving, { file: path, address, port, size: file.size });
    return reply.hijack();
  }
  const { headers } = request;
  const tag = file.version === undefined ? undefined : entityTag(file.version);
  if (tag !== undefined) reply.header('etag', tag);
  if (tag !== undefined && isKnown(headers['if-none-match'], tag)) {
    await file.close();
    serving.tally.count('not-modified');
    return reply.code(304).send();
  }
  // Only a GET has a range (RFC 9110 section 14.2).
  const counts = request.method === 'GET' && rangeCounts(headers['if-range']?.toString(), tag);
  const range = rangeOf(counts ? headers.range : undefined, file.size);
  reply
    .header('accept-ranges', 'bytes')
    .type(path.endsWith('.ipxe') ? 'text/plain' : 'application/octet-stream');
  if (range.kind === 'unsatisfiable') {
    await file.close();
    reply.header('content-range', `bytes */${file.size}`);
    throw new ApiError(416, `the file has ${file.size} bytes`);
  }
  const [from, to] = range.kind === 'part' ? [range.from, range.to] : [0, file.size];
  if (range.kind === 'part') reply.code(206).header('content-range', `bytes ${from}-${to - 1}/${file.size}`);
  reply.header('content-length', to - from);
  if (request.method === 'HEAD') {
    await file.close();
    serving.tally.count('heads');
    return reply.send();
  }
  const body = new FileBody(file, from, to);
  follow(serving, { file: path, address, port, size: to - from, whole: file.size }, body, reply);
  return reply.send(body);
}

/** Reads `file` from `from` up to `to`; ends with an error, never early, where the file is shorter. */
class FileBody extends Readable {
  readonly #file: BootFile;
  readonly #to: number;
  #at: number;

  constructor(file: BootFile, from: number, to: number) {
    super({ highWaterMark: CHUNK });
    this.#file = file;
    this.#at = from;
    this.#to = to;
  }

  override _read(): void {
    const length = Math.min(CHUNK, this.#to - this.#at);
    if (length === 0) {
      this.push(null);
      return;
    }
    const target = Buffer.allocUnsafe(length);
    this.#file.read(target, this.#at).then(
      (count) => {
        if (count === 0) return this.destroy(new Error(`file ended at byte ${this.#at} of ${this.#to}`));
        this.#at += count;
        return this.push(target.subarray(0, count));
      },
      (error: Error) => this.destroy(error),
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#file.close().then(
      () => done(error),
      (failure: Error) => done(error ?? failure),
    );
  }
}

/** What is asked for, from where, and how many bytes of it. */
interface Asked {
  file: string;
  address: string;
  port: number;
  size: number;
}

function follow(
  { sink, clock, tally }: BootFileServing,
  { file, address, port, size, whole }: Asked & { whole: number },
  body: FileBody,
  reply: FastifyReply,
): void {
  const start = clock.now();
  const tell = (step: string, detail: NonNullable<BootEvent['detail']>, reason?: string) =>
    sink({
      at: clock.now(),
      component: 'http',
      step,
      address,
      ...(reason === undefined ? {} : { reason }),
      detail: { file, port, ...detail },
    });
  let problem: Error | undefined;
  body.once('error', (error) => {
    problem = error;
  });
  tally.count('transfers');
  tell('transfer-start', { size });
  const already = reply.raw.socket?.bytesWritten ?? 0;
  reply.raw.once('close', () => {
    const seconds = Math.round(clock.now() - start) / 1000;
    if (reply.raw.writableFinished && problem === undefined) {
      tally.count('bytes', size);
      return tell('transfer-end', { bytes: size, seconds, ...(size < whole ? { of: whole } : {}) });
    }
    const reason = problem === undefined ? 'client-gone' : 'unreadable';
    const bytes = Math.min(size, Math.max(0, (reply.raw.socket?.bytesWritten ?? already) - already));
    const about = { reason, file, address, err: problem };
    tally.notice(`failed.${reason}`, about, 'HTTP transfer failed; further ones are counted');
    return tell('transfer-failed', { bytes, seconds }, reason);
  });
}

/** The client went away before anything could be sent: there is no reply whose end could be followed. */
function leftEarly({ sink, clock, tally }: BootFileServing, { file, address, port, size }: Asked): void {
  const reason = 'client-gone';
  tally.count(`failed.${reason}`);
  const told = { at: clock.now(), component: 'http', address } as const;
  sink({ ...told, step: 'transfer-start', detail: { file, port, size } });
  sink({ ...told, step: 'transfer-failed', reason, detail: { file, port, bytes: 0, seconds: 0 } });
}

function refuse(
  { sink, clock, tally }: BootFileServing,
  reason: string,
  path: string,
  address: string,
  why: string,
  error?: Error,
): void {
  const file = path.slice(0, 200);
  const words = `HTTP request refused: ${why}; further ones are counted`;
  tally.notice(`refused.${reason}`, { reason, file, address, err: error }, words);
  sink({ at: clock.now(), component: 'http', step: 'refused', address, reason, detail: { file, why } });
}
