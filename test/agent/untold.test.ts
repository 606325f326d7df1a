/** What scripts left, until the imager has it. */
import { expect, it } from 'vitest';
import { UntoldOutputs } from '../../agent/core/untold.ts';
import type { ScriptOutput } from '../../agent/protocol/output.ts';

const left = (script: string, bootId = 'b1', output = 'x'): ScriptOutput => ({
  ...{ script, deployment: 'd1', bootId, stage: 1, code: 0, timedOut: false, began: 2, took: 1, output },
});
const waiting = (untold: UntoldOutputs) =>
  untold.pending().map(({ script, bootId }) => `${script} ${bootId}`);

it('is sent until it is known to be kept, the last of each script', () => {
  const untold = new UntoldOutputs();
  expect(untold.add(left('a'))).toEqual({ type: 'output', ...left('a') });
  untold.add(left('b'));
  untold.add(left('a', 'b2'));
  expect(waiting(untold)).toEqual(['b b1', 'a b2']);
  // What is kept of an earlier boot is not what waits.
  untold.kept('a', 'b1');
  untold.kept('b', 'b1');
  untold.kept('c', 'b1');
  expect(untold.pending()).toEqual([{ type: 'output', ...left('a', 'b2') }]);
});

it('takes so much memory and no more: the oldest wait for the next boot', () => {
  const untold = new UntoldOutputs();
  for (let n = 0; n < 40; n++) untold.add(left(`s${n}`, 'b1', 'x'.repeat(64 * 1024)));
  expect(waiting(untold)).toEqual(Array.from({ length: 16 }, (_, i) => `s${24 + i} b1`));
});
