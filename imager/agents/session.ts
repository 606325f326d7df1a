/** What the imager answers to one agent: pure. conversations.ts performs the outputs in order. */
import type { Heartbeat } from '../../agent/protocol/heartbeat.ts';
import {
  type AgentMessage,
  type Hello,
  type ImagerMessage,
  type Plan,
  PROTOCOL_VERSION,
  type Step,
} from '../../agent/protocol/messages.ts';
import type { ScriptOutput } from '../../agent/protocol/output.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import type { ResourcesMessage } from '../../agent/protocol/resources.ts';
import { parseUid } from '../../agent/protocol/uid.ts';
import type { NodeConfig, UserConfig } from '../model/config.ts';
import type { NodeIndex } from '../model/nodes.ts';
import type { Recognised } from '../model/views.ts';
import type { PushAnswer, Refusal } from './pushes.ts';

export type Session =
  /** Connected, has not said who it is. */
  | { at: 'new' }
  /** Recognised as this node; whether it may join is being judged (imager/definitions). */
  | { at: 'judged'; node: NodeConfig; by: Recognised; hello: Hello; claim: Claim }
  /** Welcomed as this node. `instance`: which of the agents that have its key. */
  | { at: 'open'; node: NodeConfig; bootId: string; instance?: string | undefined }
  /** Refused or dropped: nothing more is read from it. */
  | { at: 'closed' };

/** What a session is judged against. */
export interface World {
  nodes: NodeIndex;
  /** IPv4 address the connection comes from. */
  peer: string;
  /** Id of the definition whose key secures the connection; undefined where it is the key of enrolment. */
  identity: string | undefined;
  /** Whose definition this is, also where it was deleted. */
  definedAs(id: string): { name: string; deleted: boolean } | undefined;
  /** Whether the node has this address: reserved, for one of its adapters, or else leased to it. */
  isAt(node: string, address: string): boolean;
  /** Highest step number taken of this boot of the node, 0 where none. */
  lastSeq(node: string, bootId: string): number;
}

export type Output =
  | { do: 'send'; message: ImagerMessage }
  /** Judge whether it may join, then go on with `admitted` or `turnedAway`. */
  | { do: 'admit'; node: NodeConfig; hello: Hello; claim: Claim }
  /** The node is who it says: it replaces an older connection of the same node. */
  | { do: 'join'; node: NodeConfig; by: Recognised; hello: Hello }
  /** A new step, of this boot or the earlier one it names: record it, acknowledge it once durable. */
  | { do: 'record'; node: NodeConfig; bootId: string; step: Step }
  /** The node is there; how its adapters are. */
  | { do: 'heard'; node: NodeConfig; heartbeat: Heartbeat }
  /** What a script of it left: keep it, acknowledge it once durable. */
  | { do: 'keep'; node: NodeConfig; output: ScriptOutput }
  /** What the node's pointer says now. */
  | { do: 'note'; node: NodeConfig; pointer: BootPointer }
  /** What the node consists of. */
  | { do: 'describe'; node: NodeConfig; bootId: string; found: ResourcesMessage }
  /** The answer to a push. */
  | { do: 'settle'; request: number; answer: PushAnswer | Refusal }
  /** Close; `reason` is the fixed word counted, `why` the sentence. */
  | { do: 'drop'; reason: string; why: string; claim?: Claim };

/** The node somebody is taken for, by what, and the key that it says that with: of the node's definition, of one that was deleted, or none. */
export interface Claim {
  node: string;
  by: Recognised;
  key: 'present' | 'former' | 'none';
}

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
    case 'judged':
      return settled(session, message) ?? drop('early', `${message.type} before the welcome`);
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
    case 'heartbeat':
      return {
        session,
        outputs: [
          { do: 'send', message: { type: 'pong' } },
          { do: 'heard', node, heartbeat: message },
        ],
      };
    case 'step':
      // A step that is here already was sent again because its acknowledgement was lost: acknowledge, nothing else.
      return message.seq <= world.lastSeq(node.name, message.boot?.id ?? bootId)
        ? { session, outputs: [{ do: 'send', message: acknowledgement(message) }] }
        : { session, outputs: [{ do: 'record', node, bootId, step: message }] };
    case 'output': {
      const { type: _, ...output } = message;
      return { session, outputs: [{ do: 'keep', node, output }] };
    }
    case 'resources':
      return { session, outputs: [{ do: 'describe', node, bootId, found: message }] };
    case 'pointer':
      return { session, outputs: [{ do: 'note', node, pointer: message.pointer }] };
    default:
      return settled(session, message)!;
  }
}

/** What an answer to a push asks for; undefined where the message is none. */
function settled(session: Session, message: AgentMessage): Turn | undefined {
  const settle = (answer: PushAnswer | Refusal): Turn | undefined =>
    'request' in message
      ? { session, outputs: [{ do: 'settle', request: message.request, answer }] }
      : undefined;
  switch (message.type) {
    case 'done':
      return settle({
        ...(message.pointer === undefined ? {} : { pointer: message.pointer }),
        ...(message.former === undefined ? {} : { former: message.former }),
      });
    case 'failed':
      return settle({ why: message.why, untouched: message.untouched });
    case 'identified':
      return settle({ identified: { uid: message.uid, local: message.local } });
    default:
      return undefined;
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
  const known = world.identity === undefined ? undefined : world.definedAs(world.identity);
  const match =
    world.identity === undefined
      ? (identify(hello, world.nodes) ?? byAddress(world))
      : known && byKey(world.nodes, known, hello);
  if (match === undefined && known?.deleted === false)
    return refuse(
      'unknown-node',
      `it is defined as ${known.name}, which is not configured: imager node undefine ${known.name}`,
    );
  if (match === undefined)
    return refuse(
      'unknown-node',
      `no node with UID ${hello.uid} or MAC ${hello.macs.join(', ') || '(none)'}: add it to the configuration`,
    );
  const { node, by } = match;
  const claim: Claim = {
    node: node.name,
    by,
    key: known === undefined ? 'none' : known.deleted ? 'former' : 'present',
  };
  const judged: Turn = {
    session: { at: 'judged', node, by, hello, claim },
    outputs: [{ do: 'admit', node, hello, claim }],
  };
  // Of hardware that was the node's once and has its key: it is told to forget that, wherever it is by now.
  if (known?.deleted) return judged;
  // Whoever is on the network can say a MAC or a UID; who answers at an address is harder to pretend.
  if (world.isAt(node.name, world.peer)) return judged;
  return node.address === undefined
    ? refuse(
        'no-lease',
        `${node.name} has its address from the pool, and ${world.peer} is not leased to it`,
        claim,
      )
    : refuse(
        'address',
        `${node.name} has address ${node.address}, this connection is from ${world.peer}`,
        claim,
      );
}

/** The node was taken in. Nothing where it has gone meanwhile. */
export function admitted(
  session: Session,
  userConfigs: Readonly<Record<string, UserConfig>>,
  seal: (plan: Plan) => Plan,
  heartbeatSeconds?: number,
): Turn {
  if (session.at !== 'judged') return { session, outputs: [] };
  const { node, by, hello } = session;
  const welcome: ImagerMessage = {
    type: 'welcome',
    node: node.name,
    hostname: node.hostname,
    plan: hello.pointer === null ? null : seal(planFor(node, hello.pointer.deployment, userConfigs)),
    ...(heartbeatSeconds === undefined ? {} : { heartbeatSeconds }),
  };
  return {
    session: { at: 'open', node, bootId: hello.bootId, instance: hello.instance },
    outputs: [
      { do: 'send', message: welcome },
      { do: 'join', node, by, hello },
    ],
  };
}

/** The node was not taken in. Nothing where it has gone meanwhile. */
export function turnedAway(session: Session, reason: string, why: string): Turn {
  return session.at === 'judged' ? refuse(reason, why, session.claim) : { session, outputs: [] };
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
 * The node whose definition it is, whatever else the hello says. Where that was deleted and the configuration has no such name any
 * more, the node its hardware is of: somebody has to tell it to forget what it keeps.
 */
function byKey(
  nodes: NodeIndex,
  { name, deleted }: { name: string; deleted: boolean },
  hello: Hello,
): { node: NodeConfig; by: Recognised } | undefined {
  const node = nodes.byName(name);
  if (node !== undefined) return { node, by: 'key' };
  return deleted ? identify(hello, nodes) : undefined;
}

/**
 * A node known by its client identifier or relay circuit alone, of which a hello says nothing: DHCP has recognised it
 * and given it the address it comes from.
 */
function byAddress({ nodes, peer, isAt }: World): { node: NodeConfig; by: 'address' } | undefined {
  const node = nodes.all.find(
    ({ name, mac, uid }) => mac === undefined && uid === undefined && isAt(name, peer),
  );
  return node && { node, by: 'address' };
}

/** Of nodes without a user configuration: plainly the disk's init. */
const PLAIN: UserConfig = {
  ...{ secondReboot: false, scripts: [] },
  services: { init: ['/sbin/init'], ports: [], timeoutSeconds: 60 },
};

/** What the node does for a deployment. */
export function planFor(
  node: NodeConfig,
  deployment: string,
  userConfigs: Readonly<Record<string, UserConfig>>,
): Plan {
  const { secondReboot, scripts, services } = userConfigs[node.userConfig ?? ''] ?? PLAIN;
  return {
    ...{ deployment, secondReboot, scripts, services },
    ...(node.adapters === undefined ? {} : { adapters: [...node.adapters] }),
  };
}

/** What somebody is told who says it is a node and has proved nothing: what was wrong with that helps an imposter alone. */
const UNPROVEN = 'it is not taken in: why is in the imager\'s log, and in "imager node show"';

/** `claim`: of whom it was recognised as, where it came to that. */
function refuse(reason: string, why: string, claim?: Claim): Turn {
  const told = claim?.key === 'none' ? UNPROVEN : why;
  return {
    session: { at: 'closed' },
    outputs: [
      { do: 'send', message: { type: 'refuse', why: told } },
      { do: 'drop', reason, why, ...(claim && { claim }) },
    ],
  };
}

function drop(reason: string, why: string): Turn {
  return { session: { at: 'closed' }, outputs: [{ do: 'drop', reason, why }] };
}
