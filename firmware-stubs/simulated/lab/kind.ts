/** The simulated rig as `imager rig run --rig simulated` has it. */
import { seededRandom } from '../../rig/scenario/random.ts';
import type { RigKind } from '../../rig/scenario/rig.ts';
import { refusalsOf } from './refusals.ts';
import { SimulatedRig } from './rig.ts';

export const simulatedRig: RigKind = {
  name: 'simulated',
  refusals: refusalsOf,
  open: async (scenario, { seed }) => new SimulatedRig(scenario, seededRandom(seed)),
};
