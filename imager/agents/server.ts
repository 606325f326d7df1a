/** The agent endpoint: who is connected, what they report, and what is pushed to them. */
import type { Socket } from 'node:net';
import { ENROL_IDENTITY } from '../../agent/protocol/enrolment.ts';
import { HEARTBEAT_SECONDS } from '../../agent/protocol/heartbeat.ts';
import type { AgentMessage } from '../../agent/protocol/messages.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { Tally } from '../journal/tally.ts';
import { LOST_SECONDS, MISSED_BEATS } from '../model/config.ts';
import type { Liveness, NodeDetails, Undefined } from '../model/views.ts';
import type { Ask } from './admissions.ts';
import { Connection } from './connection.ts';
import { Flashes, type FlashRequest } from './flashes.ts';
import { Listener } from './listener.ts';
import { type AgentServerOptions, HELLO_MS, MAX_CONNECTIONS } from './options.ts';
import { type ConnectedNode, isOneAgent, type Peer, Peers } from './peers.ts';
import { notConnected, PUSH_MS, type PushAnswer, PushError, Pushes } from './pushes.ts';
import { Reports } from './reports.ts';
import { secureServer } from './secure.ts';
import { acknowledgement, admitted, type Output, receive, type Turn, turnedAway } from './session.ts';
import { Watch } from './watch.ts';

/** A node has one agent; an old connection may linger while its successor says hello. */
const MAX_PER_ADDRESS = 8;
/** Longer than a connection lingers that was told of the end. */
const CLOSE_MS = 1500;
/** Ports that are tried where the system chooses. */
const PORT_TRIES = 16;

export class AgentServer {
  readonly #options: AgentServerOptions;
  readonly #listener: Listener;
  readonly #peers = new Peers();
  readonly #flashes: Flashes;
  readonly #pushes: Pushes<PushAnswer>;
  readonly #tally: Tally;
  readonly #reports: Reports;
  readonly #watch: Watch;

  private constructor(options: AgentServerOptions) {
    this.#options = options;
    this.#tally = new Tally(options.log);
    this.#reports = new Reports(options, this.#tally, (node) => this.#peers.of(node) !== undefined);
    this.#watch = new Watch(options.lostMs ?? LOST_SECONDS * 1000, options.clock, this.#reports);
    const { enrolmentKey, admissions } = options;
    const server = secureServer(
      {
        keyOf: (identity) => (identity === ENROL_IDENTITY ? enrolmentKey : admissions.keyOf(identity)),
        secured: (socket, identity) => this.#accept(socket, identity),
        refused: (...refusal) => this.#reports.unsecured(...refusal),
        abandoned: () => this.#tally.count('closed.in-handshake'),
      },
      options.helloMs ?? HELLO_MS,
    );
    this.#listener = new Listener(server);
    this.#pushes = new Pushes(options.pushMs ?? PUSH_MS);
    this.#flashes = new Flashes(options.directory, {
      isConnected: (node) => this.#peers.of(node) !== undefined,
      push: (node, ...question) => this.#push(node, ...question),
    });
  }

  /** Listens, for connections and for datagrams on one port. Rejects with the system's error where it cannot. */
  static async start(options: AgentServerOptions): Promise<AgentServer> {
    for (let tries = 1; ; tries++) {
      const agents = new AgentServer(options);
      try {
        await agents.#listen();
        return agents;
      } catch (error) {
        await agents.close();
        // The system chooses a port that is free for TCP; it may not be for the datagrams.
        const another = options.port === 0 && (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
        if (!another || tries === PORT_TRIES) throw error;
      }
    }
  }

  async #listen(): Promise<void> {
    const { address, port, maxConnections, nodes } = this.#options;
    const most = maxConnections ?? MAX_CONNECTIONS + nodes.all.length;
    await this.#listener.listen(address, port, most, () =>
      this.#reports.refused({ reason: 'too-many-connections', why: 'the endpoint is full' }),
    );
    await this.#watch.listen(address, this.port, (what) => this.#tally.count(what));
  }

  get port(): number {
    return this.#listener.port;
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

  /** What a node's heartbeats say. */
  liveness(node: string): Liveness {
    return this.#watch.view(node);
  }

  /** Who was not let in as a node, and whether it has two agents. */
  troubles(node: string): Pick<NodeDetails, 'refusals' | 'duplicate'> {
    const { refusals, duplicates } = this.#reports;
    return { refusals: refusals.of(node), duplicate: duplicates.of(node, this.#options.clock.now()) };
  }

  /** Has the node write a new boot pointer: `Flashes.flash`. */
  flash(node: string, request: FlashRequest): Promise<BootPointer> {
    return this.#flashes.flash(node, request);
  }

  /** Has the node reboot or power off. Resolves once the agent says it does; rejects with PushError. */
  async power(node: string, action: 'reboot' | 'poweroff'): Promise<void> {
    await this.#push(node, action, (request) => ({ type: 'power', request, action }));
  }

  /** Deletes a node's definition on both sides: `Admissions.undefine`. Its connection ends with that. */
  async undefine(node: string): Promise<Omit<Undefined, 'node'>> {
    const done = await this.#options.admissions.undefine(node, () => {
      const peer = this.#peers.of(node);
      return peer && this.#asking(peer);
    });
    this.#peers.of(node)?.connection.drop('undefined', undefinedWords(node));
    return done;
  }

  /** Resolves when no connection is left. */
  async close(): Promise<void> {
    // What is in the middle of its handshake is no peer yet, and ends when it likes.
    const closed = this.#listener.close(CLOSE_MS);
    for (const { connection } of this.#peers.all()) connection.drop('imager-stops', 'the imager stops');
    await Promise.all([closed, this.#watch.close()]);
  }

  #push(node: string, ...question: Parameters<Ask>): Promise<PushAnswer> {
    const peer = this.#peers.of(node);
    if (peer === undefined) return Promise.reject(notConnected(node));
    return this.#asking(peer)(...question);
  }

  #asking(peer: Peer): Ask {
    return (what, message, moreMs) => {
      if (peer.session.at === 'closed') return Promise.reject(new PushError('disconnected', 'has gone'));
      this.#tally.count(`pushed.${what}`);
      const words = `${what} ${peer.node ?? peer.connection.peer}`;
      return this.#pushes.request(peer, words, (request) => peer.connection.send(message(request)), moreMs);
    };
  }

  #accept(socket: Socket, identity: string): void {
    const { helloMs = HELLO_MS, heartbeatSeconds = HEARTBEAT_SECONDS, clock } = this.#options;
    const { idleMs = MISSED_BEATS * heartbeatSeconds * 1000 } = this.#options;
    this.#tally.count('accepted');
    const peer: Peer = {
      session: { at: 'new' },
      ...(identity === ENROL_IDENTITY ? {} : { identity }),
      ...{ since: clock.now(), deeds: [] },
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
    const { nodes, directory, admissions } = this.#options;
    this.#tally.count(`received.${message.type}`);
    const turn = receive(peer.session, message, {
      nodes,
      peer: peer.connection.peer,
      identity: peer.identity,
      definedAs: (id) => admissions.definedAs(id),
      holdsLease: (node, address) => this.#options.holdsLease(node, address),
      lastSeq: (node, bootId) => directory.lastSeq(node, bootId),
    });
    await this.#take(peer, turn);
  }

  async #take(peer: Peer, { session, outputs }: Turn): Promise<void> {
    peer.session = session;
    for (const output of outputs) await this.#perform(peer, output);
  }

  async #perform(peer: Peer, output: Output): Promise<void> {
    const { directory, clock } = this.#options;
    switch (output.do) {
      case 'send':
        return peer.connection.send(output.message);
      case 'drop':
        if (output.claim !== undefined) peer.claim = output.claim;
        return peer.connection.drop(output.reason, output.why);
      case 'admit':
        peer.claim = output.claim;
        // Not waited for: what the node is asked meanwhile it answers over this connection.
        void this.#admit(peer, output);
        return;
      case 'join':
        return this.#join(peer, output);
      case 'record': {
        const { node, bootId, step } = output;
        const at = clock.now();
        await directory.step(node.name, bootId, step, at);
        this.#reports.step(at, peer, node.name, step);
        return peer.connection.send(acknowledgement(step));
      }
      case 'heard':
        return this.#watch.heartbeat(output.node.name, output.heartbeat);
      case 'keep': {
        const { script, bootId } = output.output;
        await this.#options.outputs.keep(output.node.name, output.output, clock.now());
        return peer.connection.send({ type: 'kept', script, bootId });
      }
      case 'note':
        return directory.noted(output.node.name, output.pointer);
      case 'describe': {
        const [node, at] = [output.node.name, clock.now()];
        const told = await directory.inventories.note(node, output.bootId, output.found, at);
        return told && this.#reports.resources(at, node, told);
      }
      case 'settle': {
        const { request, answer } = output;
        const known =
          'why' in answer
            ? this.#pushes.refuse(peer, request, answer)
            : this.#pushes.settle(peer, request, answer);
        if (!known) this.#tally.count('ignored.late-answer');
      }
    }
  }

  async #admit(peer: Peer, { node, hello }: Extract<Output, { do: 'admit' }>): Promise<void> {
    const { admissions, userConfigs, directory } = this.#options;
    // One that did not get as far as its welcome: its node has come again.
    this.#peers.judge(peer, node.name)?.connection.drop('replaced', `${node.name} has connected anew`);
    try {
      const present: Ask = (...question) => this.#push(node.name, ...question);
      const from = { address: peer.connection.peer, identity: peer.identity, directory, present };
      const admission = await admissions.admit(node, hello, from, this.#asking(peer));
      if (peer.session.at !== 'judged') return;
      peer.deeds = admission.deeds;
      this.#reports.admission(peer, node.name, hello, admission);
      const turn = admission.admitted
        ? admitted(
            peer.session,
            userConfigs,
            (plan) => admissions.seal(plan, admission.definition),
            this.#options.heartbeatSeconds,
          )
        : turnedAway(peer.session, admission.reason, admission.why);
      await this.#take(peer, turn);
    } catch (error) {
      const reason = error instanceof PushError ? error.reason : 'internal';
      peer.connection.drop(reason, error instanceof Error ? error.message : String(error));
    }
  }

  async #join(peer: Peer, { node, by, hello }: Extract<Output, { do: 'join' }>): Promise<void> {
    const { directory, clock, admissions } = this.#options;
    const at = clock.now();
    // One that does not read its welcome has been dropped with that.
    if (peer.session.at !== 'open') return;
    // Undefined since it was admitted, when it spoke for no node yet.
    if (!admissions.stands(node.name)) return peer.connection.drop('undefined', undefinedWords(node.name));
    const former = this.#peers.welcome(peer, node.name, at);
    if (former !== undefined) this.#replace(former, peer, node.name);
    peer.connection.welcomed();
    this.#watch.heard(node.name);
    const again = directory.get(node.name)?.boots.some(({ bootId }) => bootId === hello.bootId) ?? false;
    const stored = directory.join(node.name, hello, peer.connection.peer, at, { by, deeds: peer.deeds });
    const fallback = directory.get(node.name)?.fallback;
    // Told at once: a node may be gone before it is durable.
    this.#reports.hello(at, peer, node, by, hello);
    if (fallback !== undefined && !again) this.#reports.fallback(at, peer, node.name, fallback);
    await stored;
    for (const { disk, owner } of directory.foreignDisks(node.name))
      this.#reports.foreignDisk(at, peer, node.name, disk, owner);
  }

  /** The connection of a node that came again is dead as a rule: who answers there is another agent, or has moved itself. */
  #replace(former: Peer, successor: Peer, node: string): void {
    const [words, address] = [`${node} has connected anew`, successor.connection.peer];
    const why = `another agent has the place of ${node}, at ${address}`;
    if (isOneAgent(former, successor)) former.connection.drop('replaced', words);
    else
      former.connection.dismiss({ type: 'replaced', why }, 'replaced', words, () =>
        this.#reports.duplicate(node, former.connection.peer, address),
      );
  }

  #ended(peer: Peer, reason: string | undefined, why: string): void {
    peer.session = { at: 'closed' };
    this.#pushes.abandon(peer, `${peer.node ?? peer.connection.peer} disconnected: ${why}`);
    this.#peers.leave(peer);
    this.#reports.ended(peer, reason, why);
  }
}

function undefinedWords(node: string): string {
  return `${node} is not defined to the cluster any more`;
}
