/** The read API: GET only, the same on the nodes' network and on the control socket. */
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { addBootsRoutes } from './boots-routes.ts';
import { checked, unknownName } from './errors.ts';
import type { ReadModel } from './read-model.ts';

/** Events of one answer, the newest of those asked for: all that are kept took 0.4 s, in which nobody else had an answer. */
export const MAX_EVENTS = 1000;

const eventQuery = z.strictObject({
  node: z.string().max(63).optional(),
  /** Milliseconds since the epoch. */
  since: z.coerce.number().nonnegative().optional(),
  /** Id of the last event already seen. */
  after: z.coerce.number().int().nonnegative().optional(),
});

type Named = { Params: { name: string } };

/** Adds the routes of the read API to `app`. */
export function addReadRoutes(app: FastifyInstance, model: ReadModel): void {
  app.get('/health', async () => model.health());
  app.get('/api/nodes', async () => model.nodes());
  app.get<Named>('/api/nodes/:name', async ({ params }) => {
    const node = model.node(params.name);
    if (node !== undefined) return node;
    throw unknownName('node', params.name, namesOf(model.nodes()));
  });
  app.get<Named>('/api/nodes/:name/resources', async ({ params }) => {
    const resources = model.resources(params.name);
    if (resources !== undefined) return resources;
    throw unknownName('node', params.name, namesOf(model.nodes()));
  });
  app.get<Named>('/api/nodes/:name/menus', async ({ params }) => {
    const menus = model.menus(params.name);
    if (menus !== undefined) return menus;
    throw unknownName('node', params.name, namesOf(model.nodes()));
  });
  app.get('/api/images', async () => model.images());
  app.get<Named>('/api/images/:name', async ({ params }) => {
    const images = model.images();
    const image = images.find(({ name }) => name === params.name);
    if (image !== undefined) return image;
    throw unknownName('boot image', params.name, namesOf(images));
  });
  app.get('/api/bases', async () => model.bases());
  app.get('/api/disks', async () => model.disks());
  app.get<Named>('/api/disks/:name', async ({ params }) => {
    const disk = model.disk(params.name);
    if (disk !== undefined) return disk;
    throw unknownName('disk', params.name, model.diskNames());
  });
  app.get('/api/leases', async () => model.leases());
  addBootsRoutes(app, model);
  app.get('/api/events', async (request) => {
    const { node, since, after } = checked(eventQuery, request.query);
    const events = model.events({
      ...(node === undefined ? {} : { node }),
      ...(since === undefined ? {} : { since }),
      ...(after === undefined ? {} : { after }),
    });
    return events.slice(-MAX_EVENTS);
  });
}

function namesOf(items: readonly { name: string }[]): string[] {
  return items.map(({ name }) => name);
}
