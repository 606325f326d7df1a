/** What judges nodes in tests of the agent endpoint: the real thing over a registry of theirs. */
import { Admissions } from '../../imager/agents/admissions.ts';
import { Definitions } from '../../imager/definitions/store.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import type { Enrolment } from '../../imager/model/config.ts';
import type { Registry } from '../../imager/registry/registry.ts';
import { temporarySigner } from '../../imager/signing/signer.ts';

export async function admissionsOf(
  registry: Registry,
  nodes: readonly string[],
  enrolment: Enrolment = 'first',
): Promise<Admissions> {
  const definitions = await Definitions.open({
    ...{ registry, nodes, cluster: 'demo', imagers: ['127.0.0.1'] },
    signer: temporarySigner(),
  });
  return new Admissions({ definitions, enrolment, clock: systemClock });
}
