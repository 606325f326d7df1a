/** Native parts of the imager, which `make build` compiles. Whoever uses one works on without, where it is not built. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * What gives the addon in `built`, a path from the project's folder; undefined where it is not built, or was for another
 * machine. It is loaded when it is first asked for, and `prepare` makes of it what is given from then on.
 */
export function lazyAddon<Addon, Part = Addon>(
  built: string,
  prepare: (addon: Addon) => Part = (addon) => addon as unknown as Part,
): () => Part | undefined {
  let part: Part | undefined;
  let asked = false;
  return () => {
    if (!asked) {
      asked = true;
      const addon = load<Addon>(built);
      part = addon === undefined ? undefined : prepare(addon);
    }
    return part;
  };
}

/** Sources and compiled files are at different depths below the project's folder. */
function load<Addon>(built: string): Addon | undefined {
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, built);
    if (!existsSync(file)) continue;
    try {
      return createRequire(import.meta.url)(file) as Addon;
    } catch {
      // Built for another machine.
      return undefined;
    }
  }
  return undefined;
}
