/**
 * The imager of a simulated lab: its own decisions (sessions of agents, flashes, who has which disk) over its own directory of
 * nodes and a registry in memory, on a wire without bytes of DHCP, TFTP and NBD. A process that can be stopped and started
 * again: what it had acknowledged it still knows.
 */
import { ENROL_IDENTITY, ENROLMENT_KEY } from '../../../agent/protocol/enrolment.ts';
import { encodeFrame, FrameReader, MAX_AGENT_FRAME } from '../../../agent/protocol/frame.ts';
import { answerToProbe } from '../../../agent/protocol/heartbeat.ts';
import { type AgentMessage, parseAgentMessage } from '../../../agent/protocol/messages.ts';
import type { BootPointer } from '../../../agent/protocol/pointer/record.ts';
import { Admissions, type Ask } from '../../../imager/agents/admissions.ts';
import { Directory } from '../../../imager/agents/directory.ts';
import { Flashes, type FlashRequest } from '../../../imager/agents/flashes.ts';
import { Liveness } from '../../../imager/agents/liveness.ts';
import { Outputs } from '../../../imager/agents/outputs.ts';
import { notConnected, PUSH_MS, type PushAnswer, PushError, Pushes } from '../../../imager/agents/pushes.ts';
import {
  acknowledgement,
  admitted,
  type Output,
  receive,
  type Session,
  type Turn,
  turnedAway,
} from '../../../imager/agents/session.ts';
import type { GlobalDefinition } from '../../../imager/definitions/definition.ts';
import { Definitions } from '../../../imager/definitions/store.ts';
import { servedFiles } from '../../../imager/images/generated.ts';
import type { NodeConfig } from '../../../imager/model/config.ts';
import { NodeIndex } from '../../../imager/model/nodes.ts';
import type { BootRecord, Liveness as View } from '../../../imager/model/views.ts';
import { MemoryRegistry } from '../../../imager/registry/memory.ts';
import { temporarySigner } from '../../../imager/signing/signer.ts';
import type { SimulatedDisk } from './disk.ts';
import { Exports } from './exports.ts';
import { answerHttp, bootImage, servedUnder } from './http.ts';
import type { ImagerParts, SimulatedImage } from './imager-parts.ts';
import type { Listener, StreamEnd, StreamPacket } from './network.ts';
import { take } from './secure.ts';

interface Peer {
  end: StreamEnd;
  address: string;
  session: Session;
  /** Id of the definition whose key secures the connection. */
  identity?: string;
  /** The node it was welcomed as. */
  node?: string;
}

/** A process of Node that opens its stores, on the rig. */
const START_MS = 600;

export class SimulatedImager implements Listener {
  readonly #parts: ImagerParts;
  readonly #nodes: NodeIndex;
  readonly #registry = new MemoryRegistry();
  /** What scripts of nodes left. */
  readonly outputs = new Outputs(this.#registry);
  readonly #signer = temporarySigner();
  #directory: Directory;
  #admissions: Promise<Admissions>;
  /** What somebody has put in the place of a boot file, by its path. */
  readonly replaced = new Map<string, Uint8Array>();
  /** Why it has ended connections, in the words of its log. */
  readonly refused: string[] = [];
  /** How often it has begun to serve. */
  starts = 1;
  #running = true;
  readonly #peers = new Set<Peer>();
  readonly #byNode = new Map<string, Peer>();
  readonly #exports: Exports;
  #flashes: Flashes;
  #liveness: Liveness;
  readonly #pushes: Pushes;

  /** It serves at once. */
  constructor(parts: ImagerParts) {
    this.#parts = parts;
    this.#nodes = new NodeIndex(parts.config.nodes);
    this.#exports = new Exports(parts);
    this.#pushes = new Pushes(PUSH_MS, (...appointment) => parts.time.after(...appointment));
    [this.#directory, this.#flashes, this.#admissions, this.#liveness] = this.#begin();
  }

  get running(): boolean {
    return this.#running;
  }

  get nodes(): NodeIndex {
    return this.#nodes;
  }

  /** Resolves when it serves. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#parts.time.after(START_MS, () => {
        [this.#directory, this.#flashes, this.#admissions, this.#liveness] = this.#begin();
        this.#running = true;
        this.starts++;
        resolve();
      });
    });
  }

  /** It ends, in order or not: the kernel closes its connections. */
  end(): void {
    this.#running = false;
    for (const peer of [...this.#peers]) this.#drop(peer);
    this.#exports.end();
  }

  image(name: string): SimulatedImage | undefined {
    return this.#parts.images.get(name);
  }

  /** Opens a disk for a node: `Exports.attach`. */
  attach(node: string, disk: string, lost: () => void): SimulatedDisk | string {
    if (!this.#running) return 'connect: Connection refused';
    return this.#exports.attach(node, disk, (each) => this.#directory.ownerOf(each), lost);
  }

  /** Has a node that is on write a new boot pointer. Rejects with PushError. */
  async flash(node: string, request: FlashRequest): Promise<BootPointer> {
    const admissions = await this.#admissions;
    const sealed = admissions.sealImage(node, request, servedFiles(bootImage(request.image)));
    const { http: port } = this.#parts.config.ports;
    const signed = sealed && { port, ...sealed };
    return (await this.#flashes.flash(node, { ...request, ...(signed && { signed }) })).pointer;
  }

  /** The last boots of a node with what it reported of them, the present one last. */
  boots(node: string): BootRecord[] {
    return this.#directory.get(node)?.boots ?? [];
  }

  /** The definition of a node that is not deleted. */
  async definition(node: string): Promise<GlobalDefinition | undefined> {
    return (await this.#admissions).definitions.ofNode(node);
  }

  /** What heartbeats say of a node since it has begun to serve. */
  liveness(node: string): View {
    return this.#liveness.view(node);
  }

  /** The answer to a datagram; undefined where there is none. */
  answer(datagram: Uint8Array): Uint8Array | undefined {
    return this.#running ? answerToProbe(datagram) : undefined;
  }

  accept(end: StreamEnd, node: string, packet: StreamPacket): boolean {
    if (!this.#running) return false;
    if (packet === 'agent')
      void this.#converse({ end, address: this.#parts.addressOf(node), session: { at: 'new' } });
    if (packet === 'http') void answerHttp(end, (path) => this.replaced.get(path) ?? servedUnder(path));
    return true;
  }

  #begin(): [Directory, Flashes, Promise<Admissions>, Liveness] {
    const directory = new Directory(this.#registry, (node) => this.#nodes.byName(node) !== undefined);
    const flashes = new Flashes(directory, {
      isConnected: (node) => this.#byNode.has(node),
      push: (node, ...question) => this.#push(node, ...question),
    });
    const { config, time } = this.#parts;
    const admissions = Definitions.open({
      registry: this.#registry,
      cluster: config.cluster,
      nodes: config.nodes.map(({ name }) => name),
      imagers: [config.network.address],
      signer: this.#signer,
    }).then(
      (definitions) => new Admissions({ definitions, enrolment: config.agents.enrolment, clock: time }),
    );
    return [directory, flashes, admissions, new Liveness(this.#parts.config.agents.lostSeconds * 1000)];
  }

  async #converse(peer: Peer): Promise<void> {
    this.#peers.add(peer);
    const admissions = await this.#admissions;
    const identity = await take(peer.end, (each) =>
      each === ENROL_IDENTITY ? ENROLMENT_KEY : admissions.keyOf(each),
    );
    if (identity === undefined) return this.#drop(peer);
    if (identity !== ENROL_IDENTITY) peer.identity = identity;
    const reader = new FrameReader(MAX_AGENT_FRAME);
    try {
      for (let bytes = await peer.end.read(); bytes !== undefined; bytes = await peer.end.read())
        for (const value of reader.push(bytes)) await this.#receive(peer, parseAgentMessage(value));
    } finally {
      this.#drop(peer);
    }
  }

  async #receive(peer: Peer, message: AgentMessage): Promise<void> {
    const admissions = await this.#admissions;
    const turn = receive(peer.session, message, {
      nodes: this.#nodes,
      peer: peer.address,
      identity: peer.identity,
      definedAs: (id) => admissions.definedAs(id),
      isAt: (node, address) => this.#parts.addressOf(node) === address,
      lastSeq: (node, bootId) => this.#directory.lastSeq(node, bootId),
    });
    await this.#take(peer, turn);
  }

  async #take(peer: Peer, { session, outputs }: Turn): Promise<void> {
    peer.session = session;
    for (const output of outputs) await this.#perform(peer, output);
  }

  async #admit(peer: Peer, { node, hello }: Extract<Output, { do: 'admit' }>): Promise<void> {
    const { address, identity } = peer;
    try {
      const admissions = await this.#admissions;
      const present: Ask = (...question) => this.#push(node.name, ...question);
      const from = { address, identity, directory: this.#directory, present };
      const admission = await admissions.admit(node, hello, from, this.#asking(peer));
      const turn = admission.admitted
        ? admitted(
            peer.session,
            this.#parts.config.userConfigs,
            (plan) => admissions.seal(plan, admission.definition),
            this.#parts.config.agents.heartbeatSeconds,
          )
        : turnedAway(peer.session, admission.reason, admission.why);
      await this.#take(peer, turn);
    } catch {
      this.#drop(peer);
    }
  }

  async #perform(peer: Peer, output: Output): Promise<void> {
    const at = this.#parts.time.now();
    switch (output.do) {
      case 'send':
        return peer.end.write(encodeFrame(output.message));
      case 'drop':
        this.refused.push(output.why);
        return this.#drop(peer);
      case 'admit':
        void this.#admit(peer, output);
        return;
      case 'join': {
        const { node, hello } = output;
        const former = this.#byNode.get(node.name);
        if (former !== undefined) this.#drop(former);
        peer.node = node.name;
        this.#byNode.set(node.name, peer);
        const { bootId, bootedImage } = hello;
        this.#tell(node, 'hello', { bootId, bootedImage, deployment: hello.pointer?.deployment ?? '' });
        return this.#directory.join(node.name, hello, peer.address, at);
      }
      case 'record': {
        const { node, bootId, step } = output;
        await this.#directory.step(node.name, bootId, step, at);
        return peer.end.write(encodeFrame(acknowledgement(step)));
      }
      case 'heard':
        this.#liveness.heartbeat(output.node.name, output.heartbeat.adapters, at);
        return;
      case 'keep': {
        const { script, bootId } = output.output;
        await this.outputs.keep(output.node.name, output.output, at);
        return peer.end.write(encodeFrame({ type: 'kept', script, bootId }));
      }
      case 'note':
        return this.#directory.noted(output.node.name, output.pointer);
      case 'describe': {
        const { node, bootId, found } = output;
        const told = await this.#directory.inventories.note(node.name, bootId, found, at);
        if (told !== undefined)
          this.#parts.sink({ at, component: 'imager', step: 'resources', node: node.name, detail: told });
        return;
      }
      case 'settle':
        this.#pushes.settle(peer, output.request, output.answer);
    }
  }

  #tell(node: NodeConfig, step: string, detail: Record<string, string>): void {
    this.#parts.sink({ at: this.#parts.time.now(), component: 'agent', step, node: node.name, detail });
  }

  #push(node: string, ...question: Parameters<Ask>): Promise<PushAnswer> {
    const peer = this.#byNode.get(node);
    return peer === undefined ? Promise.reject(notConnected(node)) : this.#asking(peer)(...question);
  }

  #asking(peer: Peer): Ask {
    return (what, message, moreMs) => {
      if (peer.session.at === 'closed') return Promise.reject(new PushError('disconnected', 'has gone'));
      const words = `${what} ${peer.node ?? peer.address}`;
      const send = (request: number) => peer.end.write(encodeFrame(message(request)));
      return this.#pushes.request(peer, words, send, moreMs);
    };
  }

  #drop(peer: Peer): void {
    if (!this.#peers.delete(peer)) return;
    peer.session = { at: 'closed' };
    peer.end.close();
    this.#pushes.abandon(peer, `${peer.node} disconnected`);
    const node = this.#nodes.byName(peer.node ?? '');
    if (node === undefined) return;
    if (this.#byNode.get(node.name) === peer) this.#byNode.delete(node.name);
    this.#tell(node, 'disconnect', {});
  }
}
