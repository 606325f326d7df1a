/** What judges nodes in tests of the agent endpoint: the real thing over a registry of theirs. */
import type { Secret } from '../../agent/linux/host.ts';
import type { LocalDefinition } from '../../agent/protocol/membership.ts';
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

/** Defines a node that keeps its key; what it proves from then on who it is with, and what its own store says. */
export async function define(
  { definitions }: Admissions,
  node: { name: string; uid: string; address: string },
): Promise<{ secret: Secret; local: LocalDefinition }> {
  const { id, key, number } = await definitions.begin({ ...node, keeps: true, at: 0 });
  await definitions.finish(id);
  const { name, uid } = node;
  return {
    secret: { identity: id, key: key! },
    local: { id, cluster: definitions.cluster.id, number, name, uid },
  };
}
