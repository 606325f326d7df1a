/** The boots of a node or a stranger: as far as the journal goes, and live as server-sent events. */
import type { ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { BootsView } from '../journal/attempts.ts';
import type { RecordedEvent } from '../journal/event.ts';
import { BusyError } from '../journal/event-files.ts';
import { ApiError, checked, unknownName } from './errors.ts';
import type { ReadModel } from './read-model.ts';

const query = z.strictObject({
  /** Attempts to show, the latest. */
  last: z.coerce.number().int().min(1).max(1000).default(10),
});

/** Streams open at once. */
const MAX_STREAMS = 64;
/** A reader that is so far behind is sent away. */
const MAX_BEHIND = 1024 * 1024;
/** A comment now and then, so that either side finds out where the other has gone. */
const ALIVE_MS = 15_000;

type Named = { Params: { who: string } };

/** Adds the routes to `app`. */
export function addBootsRoutes(app: FastifyInstance, model: Pick<ReadModel, 'boots' | 'nodes'>): void {
  const streams = new Set<ServerResponse>();
  app.addHook('preClose', async () => {
    for (const stream of streams) stream.end();
  });
  app.get<Named>('/api/boots/:who', async ({ params, query: asked }) => {
    const { last } = checked(query, asked);
    return found(model, params.who, last).view;
  });
  // No HEAD: what has no end is not told without its body.
  app.get<Named>('/api/boots/:who/stream', { exposeHeadRoute: false }, async (request, reply) => {
    const { params } = request;
    const { last } = checked(query, request.query);
    if (streams.size >= MAX_STREAMS) throw new ApiError(503, `${MAX_STREAMS} follow boots already`);
    const { view, watch } = found(model, params.who, last);
    // What comes while the journal is being read is sent after it: nothing is missed, nothing twice.
    let waiting: RecordedEvent[] | undefined = [];
    const { raw } = reply;
    const send = (event: RecordedEvent) => {
      if (waiting !== undefined) waiting.push(event);
      else if (raw.writableLength > MAX_BEHIND) raw.destroy();
      else raw.write(`data: ${JSON.stringify(event)}\n\n`);
    };
    const unwatch = watch(send);
    streams.add(raw);
    let alive: NodeJS.Timeout | undefined;
    const end = () => {
      unwatch();
      streams.delete(raw);
      clearInterval(alive);
    };
    raw.once('close', end);
    try {
      const known = await view;
      if (raw.writableEnded || raw.destroyed) {
        end();
        return reply.hijack();
      }
      reply.hijack();
      raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      raw.write(`event: boots\ndata: ${JSON.stringify(known)}\n\n`);
      alive = setInterval(() => raw.write(':\n\n'), ALIVE_MS);
    } catch (error) {
      end();
      throw error;
    }
    const missed = waiting;
    waiting = undefined;
    for (const event of missed) send(event);
    return reply;
  });
}

function found(
  model: Pick<ReadModel, 'boots' | 'nodes'>,
  who: string,
  last: number,
): { view: Promise<BootsView>; watch: (listener: (event: RecordedEvent) => void) => () => void } {
  const boots = model.boots(who, last);
  if (boots === undefined)
    throw unknownName(
      'node, MAC or address',
      who,
      model.nodes().map(({ name }) => name),
    );
  const view = boots.view.catch((error: unknown) => {
    throw error instanceof BusyError ? new ApiError(503, error.message) : error;
  });
  return { ...boots, view };
}
