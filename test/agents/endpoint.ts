/** The agent endpoint as tests have it: the real thing on 127.0.0.1, over a registry of theirs, silent. */
import { pino } from 'pino';
import { ENROLMENT_KEY } from '../../agent/protocol/enrolment.ts';
import { Directory } from '../../imager/agents/directory.ts';
import type { AgentServerOptions } from '../../imager/agents/options.ts';
import { Outputs } from '../../imager/agents/outputs.ts';
import { AgentServer } from '../../imager/agents/server.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import type { EventSink } from '../../imager/journal/event.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';
import type { Registry } from '../../imager/registry/registry.ts';
import { admissionsOf } from './admissions.ts';

/** It knows node1, UID serial:n1, at 127.0.0.1; `changes` say otherwise. Nodes without an address are anywhere. */
export async function startEndpoint(
  registry: Registry,
  sink: EventSink,
  changes: Partial<AgentServerOptions> = {},
): Promise<AgentServer> {
  const node1 = { name: 'node1', hostname: 'node1', uid: 'serial:n1', address: '127.0.0.1' };
  const nodes = changes.nodes ?? new NodeIndex([node1]);
  return AgentServer.start({
    address: '127.0.0.1',
    port: 0,
    nodes,
    userConfigs: {},
    directory: new Directory(registry, () => true),
    admissions: changes.admissions ?? (await admissionsOf(registry, ['node1'])),
    enrolmentKey: ENROLMENT_KEY,
    outputs: new Outputs(registry),
    isAt: (node, address) => [undefined, address].includes(nodes.byName(node)?.address),
    sink,
    clock: systemClock,
    log: pino({ level: 'silent' }),
    ...changes,
  });
}
