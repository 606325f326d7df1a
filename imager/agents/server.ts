/** The agent endpoint: who is connected, what they report, and what is pushed to them. */
import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from 'pino';
import type { AgentMessage, ImagerMessage, StepDetail } from '../../agent/protocol/messages.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import type { Clock } from '../journal/clock.ts';
import type { EventSink } from '../journal/event.ts';
import { Tally } from '../journal/tally.ts';
import type { NodeConfig, UserConfig } from '../model/config.ts';
import type { Fallback } from '../model/fallback.ts';
import type { NodeIndex } from '../model/nodes.ts';
import { Connection } from './connection.ts';
import { type Directory, shortened } from './directory.ts';
import { Flashes, type FlashRequest } from './flashes.ts';
import type { Outputs } from './outputs.ts';
import { notConnected, Pushes } from './pushes.ts';
import { type Output, receive, type Session } from './session.ts';

export interface AgentServerOptions {
  address: string;
  /** 0: chosen by the system. */
  port: number;
  nodes: NodeIndex;
  userConfigs: Readonly<Record<string, UserConfig>>;
  directory: Directory;
  outputs: Outputs;
  /** True where `address` is leased to `node`; asked for nodes without an address of their own. */
  holdsLease(node: NodeConfig, address: string): boolean;
  sink: EventSink;
  clock: Clock;
  log: Logger;
  maxConnections?: number;
  helloMs?: number;
  idleMs?: number;
  pushMs?: number;
}

export interface ConnectedNode {
  node: string;
  address: string;
  /** When it said hello: milliseconds since the epoch. */
  since: number;
}

type PushAnswer = { pointer?: BootPointer };

/** Beside one for each node. */
const MAX_CONNECTIONS = 1024;
/** A node has one agent; an old connection may linger while its successor says hello. */
const MAX_PER_ADDRESS = 8;
const HELLO_MS = 10_000;
/** Agents say something every 10 s. */
const IDLE_MS = 30_000;
const PUSH_MS = 10_000;

interface Peer {
  connection: Connection;
  session: Session;
  since: number;
  /** The node it was welcomed as. */
  node?: string;
}

export class AgentServer {
  readonly #options: AgentServerOptions;
  readonly #server: Server;
  readonly #peers = new Set<Peer>();
  readonly #byNode = new Map<string, Peer>();
  readonly #flashes: Flashes;
  readonly #pushes: Pushes<PushAnswer>;
  readonly #tally: Tally;

  private constructor(options: AgentServerOptions, server: Server) {
    this.#options = options;
    this.#tally = new Tally(options.log);
    this.#server = server;
    this.#pushes = new Pushes(options.pushMs ?? PUSH_MS);
    this.#flashes = new Flashes(options.directory, {
      isConnected: (node) => this.#byNode.has(node),
      push: async (node, flash) =>
        (await this.#push(node, 'flash', (request) => ({ type: 'flash', request, ...flash }))).pointer,
    });
    server.on('connection', (socket) => this.#accept(socket));
  }

  /** Listens. Rejects with the system's error where it cannot. */
  static async start(options: AgentServerOptions): Promise<AgentServer> {
    const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 });
    server.maxConnections = options.maxConnections ?? MAX_CONNECTIONS + options.nodes.all.length;
    const agents = new AgentServer(options, server);
    server.on('drop', () => agents.#refuse('too-many-connections', undefined, 'the endpoint is full'));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port, options.address, () => {
        server.off('error', reject);
        resolve();
      });
    });
    return agents;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Counts since the start, by what and why. */
  stats(): Record<string, number> {
    return this.#tally.stats();
  }

  /** How many there are now. */
  gauges(): { connections: number; nodes: number } {
    return { connections: this.#peers.size, nodes: this.#byNode.size };
  }

  /** Nodes whose agent is connected and welcomed. */
  connected(): ConnectedNode[] {
    return [...this.#byNode].map(([node, { connection, since }]) => ({
      node,
      address: connection.peer,
      since,
    }));
  }

  /** Has the node write a new boot pointer: `Flashes.flash`. */
  flash(node: string, request: FlashRequest): Promise<BootPointer> {
    return this.#flashes.flash(node, request);
  }

  /** Has the node reboot or power off. Resolves once the agent says it does; rejects with PushError. */
  async power(node: string, action: 'reboot' | 'poweroff'): Promise<void> {
    await this.#push(node, action, (request) => ({ type: 'power', request, action }));
  }

  /** Resolves when no connection is left. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const { connection } of this.#peers) connection.drop('imager-stops', 'the imager stops');
    await closed;
  }

  #push(node: string, what: string, message: (request: number) => ImagerMessage): Promise<PushAnswer> {
    const peer = this.#byNode.get(node);
    if (peer === undefined) return Promise.reject(notConnected(node));
    this.#tally.count(`pushed.${what}`);
    return this.#pushes.request(peer, `${what} ${node}`, (request) => peer.connection.send(message(request)));
  }

  #accept(socket: Socket): void {
    const { helloMs = HELLO_MS, idleMs = IDLE_MS, clock } = this.#options;
    this.#tally.count('accepted');
    const peer: Peer = {
      session: { at: 'new' },
      since: clock.now(),
      connection: new Connection(
        socket,
        { helloMs, idleMs },
        {
          message: (message) => this.#receive(peer, message),
          ended: (reason, why) => this.#ended(peer, reason, why),
          closed: () => this.#peers.delete(peer),
        },
      ),
    };
    const { connection } = peer;
    const siblings = [...this.#peers].filter((other) => other.connection.peer === connection.peer);
    this.#peers.add(peer);
    if (siblings.length >= MAX_PER_ADDRESS)
      connection.drop('too-many-per-address', `${siblings.length} connections of ${connection.peer}`);
  }

  async #receive(peer: Peer, message: AgentMessage): Promise<void> {
    const { nodes, userConfigs, directory } = this.#options;
    this.#tally.count(`received.${message.type}`);
    const turn = receive(peer.session, message, {
      nodes,
      userConfigs,
      peer: peer.connection.peer,
      holdsLease: (node, address) => this.#options.holdsLease(node, address),
      lastSeq: (node, bootId) => directory.lastSeq(node, bootId),
    });
    peer.session = turn.session;
    for (const output of turn.outputs) await this.#perform(peer, output);
  }

  async #perform(peer: Peer, output: Output): Promise<void> {
    const { directory, clock } = this.#options;
    switch (output.do) {
      case 'send':
        return peer.connection.send(output.message);
      case 'drop':
        return peer.connection.drop(output.reason, output.why);
      case 'join':
        return this.#join(peer, output);
      case 'record': {
        const { node, bootId, step } = output;
        const at = clock.now();
        await directory.step(node.name, bootId, step, at);
        const detail = { ...shortened(step.detail ?? {}), uptime: step.uptime };
        this.#event(at, peer, step.step, node.name, undefined, detail);
        return peer.connection.send({ type: 'ack', seq: step.seq });
      }
      case 'keep':
        await this.#options.outputs.keep(output.node.name, output.output, clock.now());
        return peer.connection.send({ type: 'ack', seq: output.seq });
      case 'note':
        return directory.noted(output.node.name, output.pointer);
      case 'settle': {
        const { request, answer } = output;
        const known =
          'why' in answer
            ? this.#pushes.refuse(peer, request, answer.why)
            : this.#pushes.settle(peer, request, answer);
        if (!known) this.#tally.count('ignored.late-answer');
      }
    }
  }

  async #join(peer: Peer, { node, by, hello }: Extract<Output, { do: 'join' }>): Promise<void> {
    const { directory, clock, log } = this.#options;
    const at = clock.now();
    const old = this.#byNode.get(node.name);
    peer.since = at;
    peer.node = node.name;
    this.#byNode.set(node.name, peer);
    old?.connection.drop('replaced', `${node.name} has connected anew`);
    peer.connection.welcomed();
    if (by === 'mac' && node.uid !== undefined)
      log.warn(
        { node: node.name, uid: hello.uid, expected: node.uid },
        'node known by its MAC has another UID',
      );
    const again = directory.get(node.name)?.boots.some(({ bootId }) => bootId === hello.bootId) ?? false;
    const stored = directory.join(node.name, hello, peer.connection.peer, at);
    const fallback = directory.get(node.name)?.fallback;
    // Told at once: a node may be gone before it is durable.
    this.#event(at, peer, 'hello', node.name, undefined, {
      by,
      bootId: hello.bootId,
      bootedImage: hello.bootedImage,
      deployment: hello.pointer?.deployment ?? '',
      uptime: hello.uptime,
    });
    if (fallback !== undefined && !again)
      this.#event(at, peer, 'fallback', node.name, 'no-attempts-left', known(fallback));
    await stored;
    for (const { disk, owner } of directory.foreignDisks(node.name)) {
      const detail = { node: node.name, disk, owner };
      this.#tally.notice('refused.disk-of-other', detail, 'the pointer names the disk of another node');
      this.#event(at, peer, 'claim', node.name, 'disk-of-other', { disk, owner });
    }
  }

  #ended(peer: Peer, reason: string | undefined, why: string): void {
    const { node } = peer;
    this.#pushes.abandon(peer, `${node ?? peer.connection.peer} disconnected: ${why}`);
    if (node === undefined) {
      if (reason !== undefined) this.#refuse(reason, peer, why);
      else this.#tally.count('closed.before-hello');
      return;
    }
    if (this.#byNode.get(node) === peer) this.#byNode.delete(node);
    this.#tally.count(`closed.${reason ?? 'by-agent'}`);
    this.#event(this.#options.clock.now(), peer, 'disconnect', node, reason, { why });
  }

  #refuse(reason: string, peer: Peer | undefined, why: string): void {
    const { clock, sink } = this.#options;
    const address = peer?.connection.peer;
    const words = `agent refused: ${why}; further ones are counted`;
    this.#tally.notice(`dropped.${reason}`, { reason, address }, words);
    sink({
      at: clock.now(),
      component: 'agent',
      step: 'refused',
      reason,
      ...(address === undefined ? {} : { address }),
      detail: { why },
    });
  }

  #event(
    at: number,
    peer: Peer,
    step: string,
    node: string,
    reason: string | undefined,
    detail: Record<string, string | number | boolean>,
  ): void {
    this.#options.sink({
      at,
      component: 'agent',
      step,
      node,
      address: peer.connection.peer,
      ...(reason === undefined ? {} : { reason }),
      detail,
    });
  }
}

/** An event's detail has no nulls. */
function known({ image, failed, attempts, why }: Fallback): StepDetail {
  return {
    ...{ image, failed, attempts },
    ...(why === null ? {} : { why }),
  };
}
