/** What the agent endpoint is made of, and how long it waits where nothing else is said. */
import type { Logger } from 'pino';
import type { Clock } from '../journal/clock.ts';
import type { EventSink } from '../journal/event.ts';
import type { UserConfig } from '../model/config.ts';
import type { NodeIndex } from '../model/nodes.ts';
import type { Admissions } from './admissions.ts';
import type { Directory } from './directory.ts';
import type { Outputs } from './outputs.ts';

export interface AgentServerOptions {
  address: string;
  /** 0: chosen by the system. */
  port: number;
  nodes: NodeIndex;
  userConfigs: Readonly<Record<string, UserConfig>>;
  directory: Directory;
  admissions: Admissions;
  /** Of nodes without a definition. */
  enrolmentKey: Uint8Array;
  outputs: Outputs;
  /** Whether the node has this address. */
  isAt(node: string, address: string): boolean;
  sink: EventSink;
  clock: Clock;
  log: Logger;
  maxConnections?: number;
  helloMs?: number;
  idleMs?: number;
  pushMs?: number;
  /** How often nodes are to send heartbeats; not less than a third of idleMs. */
  heartbeatSeconds?: number;
  /** A node that is not heard for so long is lost. */
  lostMs?: number;
}

/** Beside one for each node. */
export const MAX_CONNECTIONS = 1024;
export const HELLO_MS = 10_000;
