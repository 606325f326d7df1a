/** Conversations with agents: what session.ts decides of each message is done here, on the connection, in the stores, as events. */
import type { Socket } from 'node:net';
import { ENROL_IDENTITY } from '../../agent/protocol/enrolment.ts';
import { HEARTBEAT_SECONDS } from '../../agent/protocol/heartbeat.ts';
import type { AgentMessage } from '../../agent/protocol/messages.ts';
import { wordsOf } from '../../agent/protocol/words-of.ts';
import type { Tally } from '../journal/tally.ts';
import { MISSED_BEATS } from '../model/config.ts';
import type { Ask } from './admissions.ts';
import { Connection } from './connection.ts';
import { type AgentServerOptions, HELLO_MS } from './options.ts';
import { isOneAgent, type Peer, type Peers } from './peers.ts';
import { notConnected, PUSH_MS, type PushAnswer, PushError, Pushes } from './pushes.ts';
import type { Reports } from './reports.ts';
import { acknowledgement, admitted, type Output, receive, type Turn, turnedAway } from './session.ts';
import type { Watch } from './watch.ts';

/** A node has one agent; an old connection may linger while its successor says hello. */
const MAX_PER_ADDRESS = 8;

export interface ConversationParts {
  options: AgentServerOptions;
  peers: Peers;
  reports: Reports;
  tally: Tally;
  watch: Watch;
}

export class Conversations {
  readonly #options: AgentServerOptions;
  readonly #peers: Peers;
  readonly #pushes: Pushes;
  readonly #reports: Reports;
  readonly #tally: Tally;
  readonly #watch: Watch;

  constructor({ options, peers, reports, tally, watch }: ConversationParts) {
    this.#options = options;
    this.#peers = peers;
    this.#pushes = new Pushes(options.pushMs ?? PUSH_MS);
    this.#reports = reports;
    this.#tally = tally;
    this.#watch = watch;
  }

  /** Talks to whoever has connected with the key of `identity`. */
  begin(socket: Socket, identity: string): void {
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

  /** How to ask the agent of a node; undefined where none is connected. */
  asking(node: string): Ask | undefined {
    const peer = this.#peers.of(node);
    return peer && this.#askingPeer(peer);
  }

  /** Asks the agent of a node. Rejects with PushError, also where none is connected. */
  push(node: string, ...question: Parameters<Ask>): Promise<PushAnswer> {
    return this.asking(node)?.(...question) ?? Promise.reject(notConnected(node));
  }

  #askingPeer(peer: Peer): Ask {
    return (what, message, deadline) => {
      if (peer.session.at === 'closed') return Promise.reject(new PushError('disconnected', 'has gone'));
      this.#tally.count(`pushed.${what}`);
      const words = `${what} ${peer.node ?? peer.connection.peer}`;
      return this.#pushes.request(peer, words, (request) => peer.connection.send(message(request)), deadline);
    };
  }

  async #receive(peer: Peer, message: AgentMessage): Promise<void> {
    const { nodes, directory, admissions } = this.#options;
    this.#tally.count(`received.${message.type}`);
    const turn = receive(peer.session, message, {
      nodes,
      peer: peer.connection.peer,
      identity: peer.identity,
      definedAs: (id) => admissions.definedAs(id),
      isAt: (node, address) => this.#options.isAt(node, address),
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
      case 'settle':
        if (!this.#pushes.settle(peer, output.request, output.answer))
          this.#tally.count('ignored.late-answer');
    }
  }

  async #admit(peer: Peer, { node, hello }: Extract<Output, { do: 'admit' }>): Promise<void> {
    const { admissions, userConfigs, directory } = this.#options;
    // One that did not get as far as its welcome: its node has come again.
    this.#peers.judge(peer, node.name)?.connection.drop('replaced', `${node.name} has connected anew`);
    try {
      const present: Ask = (...question) => this.push(node.name, ...question);
      const from = { address: peer.connection.peer, identity: peer.identity, directory, present };
      const admission = await admissions.admit(node, hello, from, this.#askingPeer(peer));
      if (peer.session.at !== 'judged') return;
      peer.deeds = admission.deeds;
      if (admission.admitted && admission.defined !== undefined) peer.defined = admission.defined;
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
      peer.connection.drop(reason, wordsOf(error));
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
    const { deeds, defined } = peer;
    const how = { by, deeds, ...(defined === undefined ? {} : { defined }) };
    const stored = directory.join(node.name, hello, peer.connection.peer, at, how);
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

/** Why the connection of a node ends that is undefined. */
export function undefinedWords(node: string): string {
  return `${node} is not defined to the cluster any more`;
}
