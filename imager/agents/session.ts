/** What the imager answers to one agent: pure. server.ts performs the outputs in order. */
import {
  type AgentMessage,
  type Hello,
  type ImagerMessage,
  type Plan,
  PROTOCOL_VERSION,
  type Step,
} from '../../agent/protocol/messages.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { parseUid } from '../../agent/protocol/uid.ts';
import type { NodeConfig, UserConfig } from '../model/config.ts';
import type { NodeIndex } from '../model/nodes.ts';

export type Session =
  /** Connected, has not said who it is. */
  | { at: 'new' }
  /** Welcomed as this node. */
  | { at: 'open'; node: NodeConfig; bootId: string }
  /** Refused or dropped: nothing more is read from it. */
  | { at: 'closed' };

/** What a session is judged against. */
export interface World {
  nodes: NodeIndex;
  userConfigs: Readonly<Record<string, UserConfig>>;
  /** IPv4 address the connection comes from. */
  peer: string;
  /** True where `address` is leased to a node that has none of its own. */
  holdsLease(node: NodeConfig, address: string): boolean;
  /** Highest step number taken of this boot of the node, 0 where none. */
  lastSeq(node: string, bootId: string): number;
}

export type Output =
  | { do: 'send'; message: ImagerMessage }
  /** The node is who it says: it replaces an older connection of the same node. */
  | { do: 'join'; node: NodeConfig; by: 'uid' | 'mac' | 'address'; hello: Hello }
  /** A new step, of this boot or the earlier one it names: record it, acknowledge it once durable. */
  | { do: 'record'; node: NodeConfig; bootId: string; step: Step }
  /** What the node's pointer says now. */
  | { do: 'note'; node: NodeConfig; pointer: BootPointer }
  /** The answer to a push. */
  | { do: 'settle'; request: number; answer: { pointer?: BootPointer } | { why: string } }
  /** Close; `reason` is the fixed word counted, `why` the sentence. */
  | { do: 'drop'; reason: string; why: string };

export interface Turn {
  session: Session;
  outputs: Output[];
}

/** The answer to `message`, and what the session is afterwards. */
export function receive(session: Session, message: AgentMessage, world: World): Turn {
  switch (session.at) {
    case 'new':
      return message.type === 'hello'
        ? greet(message, world)
        : drop('no-hello', `${message.type} before hello`);
    case 'open':
      return converse(session, message, world);
    case 'closed':
      return { session, outputs: [] };
  }
}

function converse(session: Extract<Session, { at: 'open' }>, message: AgentMessage, world: World): Turn {
  const { node, bootId } = session;
  switch (message.type) {
    case 'hello':
      return drop('second-hello', 'a second hello on one connection');
    case 'ping':
      return { session, outputs: [{ do: 'send', message: { type: 'pong' } }] };
    case 'step':
      // A step that is here already was sent again because its acknowledgement was lost: acknowledge, nothing else.
      return message.seq <= world.lastSeq(node.name, message.boot?.id ?? bootId)
        ? { session, outputs: [{ do: 'send', message: acknowledgement(message) }] }
        : { session, outputs: [{ do: 'record', node, bootId, step: message }] };
    case 'pointer':
      return { session, outputs: [{ do: 'note', node, pointer: message.pointer }] };
    case 'done': {
      const answer = message.pointer === undefined ? {} : { pointer: message.pointer };
      return { session, outputs: [{ do: 'settle', request: message.request, answer }] };
    }
    case 'failed':
      return {
        session,
        outputs: [{ do: 'settle', request: message.request, answer: { why: message.why } }],
      };
  }
}

/** What tells the agent that a step is durable here. */
export function acknowledgement({ seq, boot }: Step): ImagerMessage {
  return { type: 'ack', seq, ...(boot === undefined ? {} : { boot: boot.id }) };
}

function greet(hello: Hello, world: World): Turn {
  if (hello.version !== PROTOCOL_VERSION)
    return refuse(
      'version',
      `agent speaks protocol ${hello.version}, this imager ${PROTOCOL_VERSION}: boot an image built with this imager`,
    );
  const match = identify(hello, world.nodes) ?? byAddress(world);
  if (match === undefined)
    return refuse(
      'unknown-node',
      `no node with UID ${hello.uid} or MAC ${hello.macs.join(', ') || '(none)'}: add it to the configuration`,
    );
  const { node, by } = match;
  if (node.address !== undefined && node.address !== world.peer)
    return refuse(
      'address',
      `${node.name} has address ${node.address}, this connection is from ${world.peer}`,
    );
  // Whoever is on the network can say a MAC or a UID; who answers at an address is harder to pretend.
  if (node.address === undefined && !world.holdsLease(node, world.peer))
    return refuse(
      'no-lease',
      `${node.name} has its address from the pool, and ${world.peer} is not leased to it`,
    );
  const welcome: ImagerMessage = {
    type: 'welcome',
    node: node.name,
    hostname: node.hostname,
    plan: hello.pointer === null ? null : planFor(node, hello.pointer.deployment, world.userConfigs),
  };
  return {
    session: { at: 'open', node, bootId: hello.bootId },
    outputs: [
      { do: 'send', message: welcome },
      { do: 'join', node, by, hello },
    ],
  };
}

/** The node a hello is of: by UID, which stays when an adapter is changed, else by MAC. */
export function identify(
  hello: Pick<Hello, 'uid' | 'macs'>,
  nodes: NodeIndex,
): { node: NodeConfig; by: 'uid' | 'mac' } | undefined {
  const uid = parseUid(hello.uid);
  const byUid = uid === undefined ? undefined : nodes.byUid(uid);
  if (byUid !== undefined) return { node: byUid, by: 'uid' };
  for (const mac of hello.macs) {
    const node = nodes.byMac(mac.toLowerCase());
    if (node !== undefined) return { node, by: 'mac' };
  }
  return undefined;
}

/**
 * A node known by its client identifier or relay circuit alone, of which a hello says nothing: DHCP has recognised it
 * and given it the address it comes from.
 */
function byAddress({ nodes, peer, holdsLease }: World): { node: NodeConfig; by: 'address' } | undefined {
  const node = nodes.all.find(
    (each) =>
      each.mac === undefined &&
      each.uid === undefined &&
      (each.address === undefined ? holdsLease(each, peer) : each.address === peer),
  );
  return node && { node, by: 'address' };
}

/** What the node does for a deployment: its user configuration, or plainly its disk's init. */
export function planFor(
  node: NodeConfig,
  deployment: string,
  userConfigs: Readonly<Record<string, UserConfig>>,
): Plan {
  const userConfig = node.userConfig === undefined ? undefined : userConfigs[node.userConfig];
  return {
    deployment,
    secondReboot: userConfig?.secondReboot ?? false,
    scripts: userConfig?.scripts ?? [],
    services: userConfig?.services ?? { init: ['/sbin/init'], ports: [], timeoutSeconds: 60 },
  };
}

function refuse(reason: string, why: string): Turn {
  return {
    session: { at: 'closed' },
    outputs: [
      { do: 'send', message: { type: 'refuse', why } },
      { do: 'drop', reason, why },
    ],
  };
}

function drop(reason: string, why: string): Turn {
  return { session: { at: 'closed' }, outputs: [{ do: 'drop', reason, why }] };
}
