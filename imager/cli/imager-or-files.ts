/** Work on disks and base images that does not need the imager to be running. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Disks } from '../disks/catalog.ts';
import type { Context } from './context.ts';
import { NotRunningError } from './failure.ts';

/** Asks the imager for `path`, with `wish` where something is to be done; where none is running, does it `here`. */
export async function imagerOrFiles<T>(
  context: Context,
  path: string,
  wish: object | undefined,
  here: (disks: Disks) => Promise<T>,
): Promise<T> {
  try {
    return await (wish === undefined ? context.get<T>(path) : context.post<T>(path, wish));
  } catch (error) {
    const { state } = context.config;
    if (!(error instanceof NotRunningError) || !existsSync(join(state, 'disks'))) throw error;
    const [{ pino }, { Disks }] = await Promise.all([import('pino'), import('../disks/catalog.ts')]);
    const disks = await Disks.open({ dir: state, log: pino({ level: 'silent' }) });
    try {
      return await here(disks);
    } finally {
      await disks.close();
    }
  }
}
