/** Who is connected to the agent endpoint: every connection, and which of them speaks for a node. */
import type { Defined } from '../model/views.ts';
import type { Connection } from './connection.ts';
import type { Claim, Session } from './session.ts';

export interface Peer {
  connection: Connection;
  session: Session;
  /** Id of the definition whose key secures the connection; undefined where it is the key of enrolment. */
  identity?: string;
  /** When it connected, or was welcomed: milliseconds since the epoch. */
  since: number;
  claim?: Claim;
  /** What was done to its node's definition as it came, and how it came to one. */
  deeds: readonly string[];
  defined?: Defined;
  /** The node it was welcomed as. */
  node?: string;
}

export interface ConnectedNode {
  node: string;
  address: string;
  /** When it said hello: milliseconds since the epoch. */
  since: number;
}

/** Whether one agent has both connections: it has connected anew. Others that have the node's key are other instances. */
export function isOneAgent({ session: former }: Peer, { session: present }: Peer): boolean {
  if (former.at !== 'open' || present.at !== 'open') return false;
  return former.instance !== undefined && former.instance === present.instance;
}

export class Peers {
  readonly #all = new Set<Peer>();
  readonly #byNode = new Map<string, Peer>();
  /** Who may become a node, by the node. */
  readonly #judged = new Map<string, Peer>();

  /** Takes a connection in. Gives how many there were of its address before. */
  add(peer: Peer): number {
    const siblings = [...this.#all].filter((other) => other.connection.peer === peer.connection.peer);
    this.#all.add(peer);
    return siblings.length;
  }

  /** Its socket is gone. */
  delete(peer: Peer): void {
    this.#all.delete(peer);
  }

  /** Whether it may speak for `node` is being judged. Gives of whom that was not decided yet. */
  judge(peer: Peer, node: string): Peer | undefined {
    const former = this.#judged.get(node);
    this.#judged.set(node, peer);
    return former;
  }

  /** It speaks for `node` from now on. Gives who did until then. */
  welcome(peer: Peer, node: string, at: number): Peer | undefined {
    const former = this.#byNode.get(node);
    if (this.#judged.get(node) === peer) this.#judged.delete(node);
    peer.since = at;
    peer.node = node;
    this.#byNode.set(node, peer);
    return former;
  }

  /** It speaks for no node any more. */
  leave(peer: Peer): void {
    for (const [node, judged] of this.#judged) if (judged === peer) this.#judged.delete(node);
    if (peer.node !== undefined && this.#byNode.get(peer.node) === peer) this.#byNode.delete(peer.node);
  }

  /** Who speaks for `node`. */
  of(node: string): Peer | undefined {
    return this.#byNode.get(node);
  }

  all(): Iterable<Peer> {
    return this.#all;
  }

  /** Nodes whose agent is connected and welcomed. */
  connected(): ConnectedNode[] {
    return [...this.#byNode].map(([node, { connection, since }]) => ({
      node,
      address: connection.peer,
      since,
    }));
  }

  /** How many there are now. */
  gauges(): { connections: number; nodes: number } {
    return { connections: this.#all.size, nodes: this.#byNode.size };
  }
}
