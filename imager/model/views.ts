/** Nodes as the imager knows them, in the form the API shows: what its servers tell and its command line prints. */
import type { StepDetail } from '../../agent/protocol/messages.ts';
import type { ScriptOutput } from '../../agent/protocol/output.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import type { Fallback } from './fallback.ts';

export interface BootStep {
  seq: number;
  step: string;
  /** Seconds since the node's kernel started. */
  uptime: number;
  /** When the imager took it: milliseconds since the epoch. */
  at: number;
  detail: StepDetail;
}

export interface BootRecord {
  bootId: string;
  image: string;
  /** Of the pointer it booted with; absent where there was none. */
  deployment?: string;
  /** When the imager first heard of this boot: milliseconds since the epoch. */
  at: number;
  /** Highest step number taken. */
  lastSeq: number;
  steps: BootStep[];
}

/**
 * `up`: it has a carrier, and datagrams come back from the imager, or some come at all where it has no address. `silent`: none
 * comes. `path-down`: those to the imager do not come back. `gone`: the node has it no more. `unknown`: the node is lost.
 */
export type AdapterState = 'up' | 'no-carrier' | 'silent' | 'path-down' | 'gone' | 'unknown';

export interface AdapterView {
  /** As the node's kernel names it. */
  name: string;
  mac: string;
  address: string | null;
  state: AdapterState;
  /** What it was when it was last heard, where that is unknown now. */
  was?: AdapterState;
  /** Mbit/s, where its driver says. */
  speed: number | null;
  /** Milliseconds to the imager and back. */
  roundTrip: number | null;
  /** Packets received and sent wrong between the last two heartbeats. */
  errors: number;
  /** When this was last heard: milliseconds since the epoch. */
  at: number;
}

/** What heartbeats say of a node, since the imager started. */
export interface Liveness {
  /** `lost`: nothing was heard of it for too long. `unheard`: nothing yet. */
  state: 'alive' | 'lost' | 'unheard';
  /** Milliseconds since the epoch. */
  heardAt: number | null;
  adapters: AdapterView[];
}

export interface NodeView {
  name: string;
  hostname: string;
  mac: string | null;
  uid: string | null;
  /** Reserved address. */
  address: string | null;
  userConfig: string | null;
  /** True while the node's agent is connected. */
  connected: boolean;
  /** When it last said hello: milliseconds since the epoch. */
  lastHello: number | null;
  bootedImage: string | null;
  /** Why that is not what its pointer names. */
  fallback: Fallback | null;
  /** What its pointer store was last known to hold. */
  pointer: BootPointer | null;
  /** That counts from its next boot: what it booted is of another deployment. */
  waits: boolean;
  lastStep: BootStep | null;
}

/** A node's definition to the cluster, but for its key. */
export interface DefinitionView {
  id: string;
  number: number;
  /** Hardware UID it is defined with. */
  uid: string;
  address: string;
  /** False: the node has nowhere to keep a key and is told by its address alone. */
  keyed: boolean;
  /** Virtual disk that the node's copy is on, null where it is elsewhere. */
  disk: string | null;
  state: 'defining' | 'defined' | 'undefining';
  /** UID that takes the place of the present one, null where nothing is being corrected. */
  correcting: string | null;
  /** When it was made: milliseconds since the epoch. */
  at: number;
}

/** What a node was recognised by; `key`: its connection is secured with that of its definition. */
export type Recognised = 'key' | 'uid' | 'mac' | 'address';

/**
 * How a node came to its definition: `first-use`: it was the first who said to be it (agents.enrolment). `asked`: imager node define
 * had asked for that. `anew`: in the place of one that it had.
 */
export type Defined = 'first-use' | 'asked' | 'anew';

/** The last time a node was taken in. */
export interface Joined {
  /** Milliseconds since the epoch. */
  at: number;
  address: string;
  /** Null where the imager that took it in kept no note of that. */
  by: Recognised | null;
  /** What was done to its definition before, in order: define, finish, correct, settle, erase. */
  deeds: readonly string[];
  /** Null where it was not defined as it came. */
  defined: Defined | null;
}

/** Who was not let in, once or several times for one reason from one address. */
export interface RefusalView {
  /** A fixed word. */
  reason: string;
  /** Of the last time. */
  why: string;
  address: string;
  /**
   * Whose it is. `key`: the node's own, which had its key. `former`: of what was the node once, with a key that is deleted, also
   * where another machine is the node by now. `claim`: of somebody who said to be the node, by its UID or its definition.
   * `mac`: of somebody who has a MAC of the node. `address`: of somebody who said nothing that counts, at the address of the node.
   */
  as: 'key' | 'former' | 'claim' | 'mac' | 'address';
  count: number;
  /** The first time and the last: milliseconds since the epoch. */
  since: number;
  at: number;
}

/** Two agents with one key, or one name, that take each other's place. */
export interface DuplicateView {
  addresses: string[];
  /** When it began, and when one last took the other's place: milliseconds since the epoch. */
  since: number;
  at: number;
}

export interface Membership {
  definition: DefinitionView | null;
  /** What the operator asked for and has not come about yet. */
  standing: 'wanted' | 'closed' | null;
}

/** What a script of a node left. */
export interface OutputView extends ScriptOutput {
  /** When the imager took it: milliseconds since the epoch. */
  at: number;
}

export interface NodeDetails extends NodeView {
  liveness: Liveness;
  membership: Membership;
  /** Null where it never was. */
  joined: Joined | null;
  /** The last few since this imager started, the latest first. */
  refusals: RefusalView[];
  /** Null where there is one agent. */
  duplicate: DuplicateView | null;
  /** What it called itself in its last hello. */
  reported: { uid: string; macs: string[]; address: string } | null;
  /** Its last boots with their steps, the present one last. */
  boots: BootRecord[];
}

export interface Health {
  status: 'ok';
  cluster: string;
  /** When this imager started, and what its clock says, by which its events are: ISO 8601. */
  started: string;
  now: string;
  nodes: { known: number; connected: number };
  /** Ports by service. */
  ports: Record<string, number>;
  /** What is wrong and does not stop the imager: damaged images, what cannot be stored. */
  problems: string[];
}

export const POWER_ACTIONS = ['reboot', 'off', 'on', 'cycle'] as const;
export type PowerAction = (typeof POWER_ACTIONS)[number];

export interface Flashed {
  node: string;
  /** Null where the node had none. */
  old: BootPointer | null;
  /** As the node read it back. */
  pointer: BootPointer;
  /** Whether the node fetched the image and compared it with what was signed; without a key of its cluster it cannot. */
  verified: boolean;
}

export interface Undefined {
  node: string;
  /** Whether it was defined until now. */
  defined: boolean;
  /** Whether no copy of a definition is left on the node; else it is erased at its next hello. */
  erased: boolean;
}

export interface Powered {
  node: string;
  action: PowerAction;
  via: 'agent' | 'command';
}

/** What is known of the boots over a base. */
export interface BootReads {
  /** Bytes that boots read of it, and how many boots added to that. */
  bytes: number;
  boots: number;
  /** Bytes of its pack; null where there is none. */
  pack: number | null;
  /** The pack is of this trace, not of an earlier one. */
  current: boolean;
}
