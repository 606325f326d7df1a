/** The control API: what changes something. Only ever on the control socket, which its owner alone can open. */
import { isAbsolute } from 'node:path';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { MAX_NUMBER } from '../../agent/protocol/local-content.ts';
import { isName } from '../../agent/protocol/names.ts';
import type { BaseView } from '../disks/base-record.ts';
import type { DiskView } from '../disks/catalog.ts';
import type { BaseLoss } from '../disks/removals.ts';
import type { BootImage } from '../images/image.ts';
import type { NewImage } from '../images/wish.ts';
import type { MenuCheck } from '../menus/views.ts';
import {
  type BootReads,
  type Flashed,
  type Membership,
  type OutputView,
  POWER_ACTIONS,
  type PowerAction,
  type Powered,
  type Undefined,
} from '../model/views.ts';
import { addDiskRoutes, type DiskControls } from './disk-routes.ts';
import { checked } from './errors.ts';

/** What the control API does; the service provides it. Each rejects with ApiError where the wish is wrong. */
export interface Controls {
  flash(node: string, target: { image: string; disks: string[] }): Promise<Flashed>;
  power(node: string, action: PowerAction): Promise<Powered>;
  /** Has the node defined to the cluster at its next hello. */
  define(node: string, number: number | undefined): Promise<Membership>;
  /** Deletes its definition; it is not defined again by itself. */
  undefine(node: string): Promise<Undefined>;
  /** What scripts of a node left, as they came. Not for the nodes' network: a script may say anything. */
  outputs(node: string): OutputView[];
  addImage(image: NewImage): Promise<BootImage>;
  /** Builds a tagged image of the linux image `from`, with its arguments or `args`, and adds it. */
  addNbi(image: { name: string; from: string; args?: string }): Promise<BootImage>;
  /** What of an image's files is not as it was added, in words. */
  verifyImage(name: string): Promise<string[]>;
  /** Signs an image, as it is, that nobody has signed, or another cluster. */
  signImage(name: string): Promise<BootImage>;
  addBase(base: { name: string; file: string }): Promise<BaseView>;
  /** The share that was read of a base image that is being added; null where none is of that name. */
  baseProgress(name: string): number | null;
  /** Makes the boot pack of a base whose boots were seen. */
  packBase(base: string): Promise<BootReads>;
  /** What goes with a base image that could be removed now. */
  baseLoss(name: string): Promise<BaseLoss>;
  /** Removes a base image, its trace and its pack. */
  removeBase(name: string): Promise<BaseLoss>;
  /** Makes every menu for every node: too much work to have the network ask for it. */
  checkMenus(): Promise<MenuCheck>;
  createDisk(disk: { name: string; base: string }): Promise<DiskView>;
  readonly disks: DiskControls;
}

const name = z
  .string()
  .refine(isName, { error: '1 to 63 of a-z 0-9 . _ -, starting with a letter or digit' });
const path = z.string().max(4096).refine(isAbsolute, { error: 'an absolute path' });

const flash = z.strictObject({
  image: z.string().max(256),
  disks: z.array(z.string().max(256)).min(1).max(8),
});
const power = z.strictObject({ action: z.enum(POWER_ACTIONS) });
const definition = z.strictObject({ number: z.number().int().min(1).max(MAX_NUMBER).optional() });
const image = z.strictObject({
  name,
  arch: z.enum(['arm64', 'amd64']).optional(),
  kernel: path.optional(),
  initrd: path.optional(),
  dtb: path.optional(),
  efi: path.optional(),
  bootSector: path.optional(),
  nbi: path.optional(),
  args: z.string().optional(),
});
const nbi = z.strictObject({ name, from: z.string().max(256), args: z.string().optional() });
const base = z.strictObject({ name, file: path });
const disk = z.strictObject({ name, base: z.string().max(256) });

type Named = { Params: { name: string } };

/** Adds the routes of the control API to `app`. */
export function addControlRoutes(app: FastifyInstance, controls: Controls): void {
  app.get('/control/menus/check', async () => controls.checkMenus());
  app.post<Named>('/control/nodes/:name/flash', async ({ params, body }) =>
    controls.flash(params.name, checked(flash, body)),
  );
  app.post<Named>('/control/nodes/:name/power', async ({ params, body }) =>
    controls.power(params.name, checked(power, body).action),
  );
  app.post<Named>('/control/nodes/:name/define', async ({ params, body }) =>
    controls.define(params.name, checked(definition, body).number),
  );
  app.post<Named>('/control/nodes/:name/undefine', async ({ params }) => controls.undefine(params.name));
  app.get<Named>('/control/nodes/:name/outputs', async ({ params }) => controls.outputs(params.name));
  app.post('/control/images', async ({ body }) => controls.addImage(given(checked(image, body))));
  app.post('/control/tagged-images', async ({ body }) => controls.addNbi(given(checked(nbi, body))));
  app.post<Named>('/control/images/:name/verify', async ({ params }) => controls.verifyImage(params.name));
  app.post<Named>('/control/images/:name/sign', async ({ params }) => controls.signImage(params.name));
  app.post('/control/bases', async ({ body }) => controls.addBase(checked(base, body)));
  app.get<Named>('/control/bases/:name/progress', async ({ params }) => ({
    share: controls.baseProgress(params.name),
  }));
  app.post<Named>('/control/bases/:name/pack', async ({ params }) => controls.packBase(params.name));
  app.get<Named>('/control/bases/:name/loss', async ({ params }) => controls.baseLoss(params.name));
  app.post<Named>('/control/bases/:name/remove', async ({ params }) => controls.removeBase(params.name));
  app.post('/control/disks', async ({ body }) => controls.createDisk(checked(disk, body)));
  addDiskRoutes(app, controls.disks);
}

type Given<T> = { [Key in keyof T]: Exclude<T[Key], undefined> };

/** `value` without the fields that are undefined: zod gives those of optional keys as such. */
function given<T extends object>(value: T): Given<T> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Given<T>;
}
