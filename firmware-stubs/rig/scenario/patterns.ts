/** Every event that a scenario speaks of. Pure. */
import type { EventPattern, Scenario } from './scenario.ts';

export function patternsOf({
  script,
  expect,
  cuts,
}: Pick<Scenario, 'script' | 'expect' | 'cuts'>): EventPattern[] {
  return [
    ...script.map(({ on }) => on),
    ...expect.flatMap((each) => ('on' in each ? [each.on] : [])),
    ...(cuts === undefined ? [] : [cuts.from, cuts.to]),
  ];
}
