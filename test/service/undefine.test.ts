/** `imager node undefine` of a name the configuration has no more. */
import { expect, test } from 'vitest';
import { systemClock } from '../../imager/journal/clock.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { type ControlParts, controlsOf } from '../../imager/service/controls.ts';
import { admissionsOf, define } from '../agents/admissions.ts';

test('a node that was renamed is undefined by the name it is defined with', async () => {
  const admissions = await admissionsOf(new MemoryRegistry(), ['old']);
  const { definitions } = admissions;
  const { local } = await define(admissions, { name: 'old', uid: 'serial:n1', address: '10.0.0.1' });
  const parts = {
    ...{ nodes: new NodeIndex([{ name: 'new', hostname: 'new', uid: 'serial:n1' }]), admissions },
    agents: { undefine: (name: string) => admissions.undefine(name, () => undefined) },
    ...{ sink() {}, clock: systemClock },
  };
  // Of all that the controls need, what they undefine with.
  const controls = controlsOf(parts as unknown as ControlParts);
  expect(await controls.undefine('old')).toEqual({ node: 'old', defined: true, erased: false });
  expect(definitions.byId(local.id)).toMatchObject({ state: 'undefining' });
  // Asked again: nothing is defined by now, and the node's copy is still there.
  expect(await controls.undefine('old')).toEqual({ node: 'old', defined: false, erased: false });
  expect(await controls.undefine('new')).toEqual({ node: 'new', defined: false, erased: true });
  await expect(controls.undefine('neither')).rejects.toMatchObject({ status: 404 });
});
