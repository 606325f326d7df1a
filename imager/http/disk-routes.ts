/** What the control API does with disks beside making them. */
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { isName } from '../../agent/protocol/names.ts';
import type { DiskWork } from '../disks/disk-work.ts';
import type { Removals } from '../disks/removals.ts';
import { checked } from './errors.ts';

/** Each rejects with ApiError where the wish is wrong. */
export type DiskControls = Pick<
  DiskWork,
  'generations' | 'snapshot' | 'rollBack' | 'drop' | 'differences' | 'commit' | 'grow' | 'letGo'
> &
  Pick<Removals, 'diskLoss' | 'removeDisk'>;

const id = z.int().min(1).max(0xffffffff);
const moment = z.union([z.literal('base'), z.literal('now'), id]);
const name = z.string().refine(isName, { error: 'no name' });

const snapshot = z.strictObject({ label: z.string().max(63) });
const generation = z.strictObject({ generation: id });
const diff = z.strictObject({ from: moment, to: moment });
const commit = z.strictObject({ base: name, generation: id.optional() });
const grow = z.strictObject({ size: z.number() });

type Named = { Params: { name: string } };

export function addDiskRoutes(app: FastifyInstance, disks: DiskControls): void {
  const at = '/control/disks/:name';
  app.get<Named>(`${at}/generations`, async ({ params }) => disks.generations(params.name));
  app.post<Named>(`${at}/snapshot`, async ({ params, body }) =>
    disks.snapshot(params.name, checked(snapshot, body).label),
  );
  app.post<Named>(`${at}/rollback`, async ({ params, body }) =>
    disks.rollBack(params.name, checked(generation, body).generation),
  );
  app.post<Named>(`${at}/drop`, async ({ params, body }) =>
    disks.drop(params.name, checked(generation, body).generation),
  );
  app.post<Named>(`${at}/diff`, async ({ params, body }) => {
    const { from, to } = checked(diff, body);
    return disks.differences(params.name, from, to);
  });
  app.post<Named>(`${at}/commit`, async ({ params, body }) => {
    const { base, generation } = checked(commit, body);
    return disks.commit(params.name, base, generation);
  });
  app.post<Named>(`${at}/grow`, async ({ params, body }) =>
    disks.grow(params.name, checked(grow, body).size),
  );
  app.post<Named>(`${at}/let-go`, async ({ params }) => {
    await disks.letGo(params.name);
    return {};
  });
  app.get<Named>(`${at}/loss`, async ({ params }) => disks.diskLoss(params.name));
  app.post<Named>(`${at}/remove`, async ({ params }) => disks.removeDisk(params.name));
}
