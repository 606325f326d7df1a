/** The virtual disks of a scenario. */
import type { Scenario } from './scenario.ts';

/** Disks that pointers name, from the beginning or later. */
export function disksOf({ nodes, script }: Scenario): Set<string> {
  const flashed = script.flatMap(({ actions }) =>
    actions.flatMap(({ action }) => (action.kind === 'flash' ? action.disks : [])),
  );
  return new Set([...nodes.flatMap(({ pointer }) => pointer?.disks ?? []), ...flashed]);
}
