/** Texts of scenarios for tests. */
import { parseScenario } from '../../../firmware-stubs/rig/scenario/load.ts';
import type { Scenario } from '../../../firmware-stubs/rig/scenario/scenario.ts';

const HEAD = `name: a test
timeout: 60s
images: { alpha: {}, broken: { boots: false } }
nodes:
  - { name: n1, rig: arm64, pointer: { image: alpha, disks: [n1-root] } }
imager:
  cluster: lab
  network: { address: 10.77.0.1, prefix: 24 }
  nodes:
    - { name: n1, mac: "52:54:00:77:00:11", uid: 6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601, address: 10.77.0.11 }
`;

/** Lines of the head: what a test adds begins on the next one. */
export const HEAD_LINES = HEAD.split('\n').length - 1;

/** A whole file: one node n1, an imager, and `rest` (script, expect, cuts). */
export function scenarioText(rest: string): string {
  return `${HEAD}${rest}`;
}

export function scenarioOf(rest: string): Scenario {
  return parseScenario(scenarioText(rest), 'a.yaml');
}
