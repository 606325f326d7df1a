/** Several scenarios at once: what tells them apart. */
import { expect, test } from 'vitest';
import { runSuite } from '../../../firmware-stubs/rig/scenario/suite.ts';
import { eventsOf, ScriptedRig } from './scripted-rig.ts';
import { scenarioOf } from './texts.ts';

test('each has a name of its own, whatever the files are called', async () => {
  const scenario = scenarioOf(
    'script: [{ on: start, do: { power: on } }]\nexpect: [{ on: { step: ready } }]\n',
  );
  const files = ['x/a.yaml', 'y/a-2.yaml', 'z/a.yaml', 'b.yml', 'y/b.yaml'];
  const results = await runSuite(
    files.map((file) => ({ ...scenario, file })),
    {
      kind: {
        ...new ScriptedRig([]).kind,
        open: async () => new ScriptedRig(eventsOf('1 step agent ready')),
      },
      ...{ parallel: 1, progress: () => {}, ended: () => {} },
    },
  );
  expect(results.map(({ id, ok }) => [id, ok])).toEqual(
    ['a', 'a-2', 'a-3', 'b', 'b-2'].map((id) => [id, true]),
  );
});
