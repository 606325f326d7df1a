/** Errors of the HTTP interface: a status, a sentence, and what there is where a name was wrong. */
import type { FastifyInstance } from 'fastify';
import type * as z from 'zod';
import { DiskError } from '../disks/disk.ts';
import { FormatError } from '../disks/format.ts';
import { StoreError, whatExists } from '../disks/store-error.ts';

export class ApiError extends Error {
  readonly status: number;
  readonly known: readonly string[] | undefined;
  constructor(status: number, message: string, known?: readonly string[]) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.known = known;
  }
}

/** 404 for a name that is not there, with those that are. */
export function unknownName(kind: string, name: string, known: readonly string[]): ApiError {
  return new ApiError(
    404,
    `no ${kind} ${JSON.stringify(name.slice(0, 80))}; ${whatExists(kind, known)}`,
    known,
  );
}

/** `body` checked against `schema`. Throws ApiError 400 naming each wrong field. */
export function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => {
    const path = issue.path.map(String).join('.');
    return path === '' ? issue.message : `${path}: ${issue.message}`;
  });
  throw new ApiError(400, faults.join('; '));
}

/** What the network hears of a failure inside. */
export const FAILED = "the request failed: the imager's log says why";

/** Whether a failure is one of those that happen to a sound program: where in it they happened is of no use to anybody. */
function isExpected(error: Error): boolean {
  const { code, errno } = error as NodeJS.ErrnoException;
  const kinds = [StoreError, DiskError, FormatError];
  return (code !== undefined && errno !== undefined) || kinds.some((kind) => error instanceof kind);
}

/**
 * Every error leaves as {error, known?}. What is nobody's wish is logged, faults of the program with their stack; `inside`: and told in its own
 * words, which may name paths, so only where the imager's owner asks.
 */
export function answerErrors(
  app: FastifyInstance,
  log: { error(context: object, text: string): void },
  { inside }: { inside: boolean },
): void {
  app.setNotFoundHandler((request, reply) => {
    reply.code(404).send({ error: `there is no ${request.method} ${request.url.slice(0, 200)} here` });
  });
  app.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    // What the failed answer had said of itself.
    reply.removeHeader('content-length').type('application/json; charset=utf-8');
    if (error instanceof ApiError)
      return reply
        .code(error.status)
        .send({ error: error.message, ...(error.known === undefined ? {} : { known: error.known }) });
    reply.removeHeader('content-range').removeHeader('accept-ranges').removeHeader('etag');
    const status = error.statusCode ?? 500;
    if (status < 500) return reply.code(status).send({ error: error.message });
    const { url } = request;
    if (isExpected(error)) log.error({ url }, `request failed: ${error.message}`);
    else log.error({ err: error, url }, 'request failed');
    return reply.code(status).send({ error: inside ? error.message : FAILED });
  });
}
