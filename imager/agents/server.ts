/** The agent endpoint: who is connected, what they report, and what is pushed to them. */
import type { Socket } from 'node:net';
import type { Server } from 'node:tls';
import type { Logger } from 'pino';
import { ENROL_IDENTITY } from '../../agent/protocol/enrolment.ts';
import type { AgentMessage, ImagerMessage } from '../../agent/protocol/messages.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import type { Clock } from '../journal/clock.ts';
import type { EventSink } from '../journal/event.ts';
import { Tally } from '../journal/tally.ts';
import type { NodeConfig, UserConfig } from '../model/config.ts';
import type { NodeIndex } from '../model/nodes.ts';
import { Connection } from './connection.ts';
import type { Directory } from './directory.ts';
import { Flashes, type FlashRequest } from './flashes.ts';
import { type ConnectedNode, type Peer, Peers } from './peers.ts';
import { notConnected, Pushes } from './pushes.ts';
import { Reports } from './reports.ts';
import { secureServer } from './secure.ts';
import { acknowledgement, type Output, receive } from './session.ts';

export interface AgentServerOptions {
  address: string;
  /** 0: chosen by the system. */
  port: number;
  nodes: NodeIndex;
  userConfigs: Readonly<Record<string, UserConfig>>;
  directory: Directory;
  /** Of nodes without a definition. */
  enrolmentKey: Uint8Array;
  /** Key of the definition with this id; undefined where there is none. */
  keyOf(definition: string): Uint8Array | undefined;
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

type PushAnswer = { pointer?: BootPointer };

/** Beside one for each node. */
const MAX_CONNECTIONS = 1024;
/** A node has one agent; an old connection may linger while its successor says hello. */
const MAX_PER_ADDRESS = 8;
const HELLO_MS = 10_000;
/** Agents say something every 10 s. */
const IDLE_MS = 30_000;
const PUSH_MS = 10_000;

export class AgentServer {
  readonly #options: AgentServerOptions;
  readonly #server: Server;
  readonly #peers = new Peers();
  readonly #flashes: Flashes;
  readonly #pushes: Pushes<PushAnswer>;
  readonly #tally: Tally;
  readonly #reports: Reports;

  private constructor(options: AgentServerOptions) {
    this.#options = options;
    this.#tally = new Tally(options.log);
    this.#reports = new Reports(options.sink, options.clock, this.#tally);
    const { enrolmentKey, keyOf } = options;
    this.#server = secureServer(
      {
        keyOf: (identity) => (identity === ENROL_IDENTITY ? enrolmentKey : keyOf(identity)),
        secured: (socket, identity) => this.#accept(socket, identity),
        refused: (reason, address, why) => this.#reports.refused(reason, address, why),
        abandoned: () => this.#tally.count('closed.in-handshake'),
      },
      options.helloMs ?? HELLO_MS,
    );
    this.#pushes = new Pushes(options.pushMs ?? PUSH_MS);
    this.#flashes = new Flashes(options.directory, {
      isConnected: (node) => this.#peers.of(node) !== undefined,
      push: async (node, flash) =>
        (await this.#push(node, 'flash', (request) => ({ type: 'flash', request, ...flash }))).pointer,
    });
  }

  /** Listens. Rejects with the system's error where it cannot. */
  static async start(options: AgentServerOptions): Promise<AgentServer> {
    const agents = new AgentServer(options);
    const server = agents.#server;
    server.maxConnections = options.maxConnections ?? MAX_CONNECTIONS + options.nodes.all.length;
    server.on('drop', () =>
      agents.#reports.refused('too-many-connections', undefined, 'the endpoint is full'),
    );
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
    return this.#peers.gauges();
  }

  /** Nodes whose agent is connected and welcomed. */
  connected(): ConnectedNode[] {
    return this.#peers.connected();
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
    for (const { connection } of this.#peers.all()) connection.drop('imager-stops', 'the imager stops');
    await closed;
  }

  #push(node: string, what: string, message: (request: number) => ImagerMessage): Promise<PushAnswer> {
    const peer = this.#peers.of(node);
    if (peer === undefined) return Promise.reject(notConnected(node));
    this.#tally.count(`pushed.${what}`);
    return this.#pushes.request(peer, `${what} ${node}`, (request) => peer.connection.send(message(request)));
  }

  #accept(socket: Socket, identity: string): void {
    const { helloMs = HELLO_MS, idleMs = IDLE_MS, clock } = this.#options;
    this.#tally.count('accepted');
    const peer: Peer = {
      session: { at: 'new' },
      ...(identity === ENROL_IDENTITY ? {} : { identity }),
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
    const siblings = this.#peers.add(peer);
    const { connection } = peer;
    if (siblings >= MAX_PER_ADDRESS)
      connection.drop('too-many-per-address', `${siblings} connections of ${connection.peer}`);
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
        this.#reports.step(at, peer, node.name, step);
        return peer.connection.send(acknowledgement(step));
      }
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
    const former = this.#peers.welcome(peer, node.name, at);
    former?.connection.drop('replaced', `${node.name} has connected anew`);
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
    this.#reports.hello(at, peer, node.name, by, hello);
    if (fallback !== undefined && !again) this.#reports.fallback(at, peer, node.name, fallback);
    await stored;
    for (const { disk, owner } of directory.foreignDisks(node.name))
      this.#reports.foreignDisk(at, peer, node.name, disk, owner);
  }

  #ended(peer: Peer, reason: string | undefined, why: string): void {
    this.#pushes.abandon(peer, `${peer.node ?? peer.connection.peer} disconnected: ${why}`);
    this.#peers.leave(peer);
    this.#reports.ended(peer, reason, why);
  }
}
