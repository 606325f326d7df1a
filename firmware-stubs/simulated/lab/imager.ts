/**
 * The imager of a simulated lab: its own decisions (sessions of agents, flashes, who has which disk) over its own directory of
 * nodes and a registry in memory, on a wire without bytes of DHCP, TFTP and NBD. A process that can be stopped and started
 * again: what it had acknowledged it still knows.
 */
import { ENROL_IDENTITY, ENROLMENT_KEY } from '../../../agent/protocol/enrolment.ts';
import { encodeFrame, FrameReader, MAX_AGENT_FRAME } from '../../../agent/protocol/frame.ts';
import {
  type AgentMessage,
  type ImagerMessage,
  parseAgentMessage,
} from '../../../agent/protocol/messages.ts';
import type { BootPointer } from '../../../agent/protocol/pointer/record.ts';
import { Directory } from '../../../imager/agents/directory.ts';
import { Flashes, type FlashRequest } from '../../../imager/agents/flashes.ts';
import { notConnected, PushError } from '../../../imager/agents/pushes.ts';
import { acknowledgement, type Output, receive, type Session } from '../../../imager/agents/session.ts';
import type { EventSink } from '../../../imager/journal/event.ts';
import type { ImagerConfig, NodeConfig } from '../../../imager/model/config.ts';
import { NodeIndex } from '../../../imager/model/nodes.ts';
import { MemoryRegistry } from '../../../imager/registry/memory.ts';
import { mayOpen } from '../../../imager/service/disk-policy.ts';
import type { SimulatedDisk } from './disk.ts';
import type { Listener, StreamEnd, StreamPacket } from './network.ts';
import { take } from './secure.ts';
import type { VirtualTime } from './time.ts';

/** What a boot image is to a simulated node. */
export interface SimulatedImage {
  /** False: its kernel finds no init and panics. */
  boots: boolean;
}

export interface ImagerParts {
  time: VirtualTime;
  config: ImagerConfig;
  images: ReadonlyMap<string, SimulatedImage>;
  disks: ReadonlyMap<string, SimulatedDisk>;
  /** Address of each node, by its name. */
  addressOf(node: string): string;
  sink: EventSink;
}

interface Peer {
  end: StreamEnd;
  address: string;
  session: Session;
  /** The node it was welcomed as. */
  node?: string;
}

/** A process of Node that opens its stores, on the rig. */
const START_MS = 600;
const PUSH_MS = 10_000;

export class SimulatedImager implements Listener {
  readonly #parts: ImagerParts;
  readonly #nodes: NodeIndex;
  readonly #registry = new MemoryRegistry();
  #directory: Directory;
  /** How often it has begun to serve. */
  starts = 1;
  #running = true;
  readonly #peers = new Set<Peer>();
  readonly #byNode = new Map<string, Peer>();
  /** Whom it serves a disk. */
  readonly #attached = new Map<string, () => void>();
  #flashes: Flashes;
  readonly #requests = new Map<
    number,
    { peer: Peer; end: (answer: { pointer?: BootPointer } | Error) => void }
  >();
  #lastRequest = 0;

  /** It serves at once. */
  constructor(parts: ImagerParts) {
    this.#parts = parts;
    this.#nodes = new NodeIndex(parts.config.nodes);
    [this.#directory, this.#flashes] = this.#begin();
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
        [this.#directory, this.#flashes] = this.#begin();
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
    for (const lost of this.#attached.values()) this.#parts.time.after(0, lost);
    this.#attached.clear();
  }

  image(name: string): SimulatedImage | undefined {
    return this.#parts.images.get(name);
  }

  /**
   * Opens a disk for a node; `lost` is called when the imager's end of it dies. Gives why not, in the words the node's
   * console shows.
   */
  attach(node: string, disk: string, lost: () => void): SimulatedDisk | string {
    const { disks, config, addressOf } = this.#parts;
    if (!this.#running) return 'connect: Connection refused';
    const found = disks.get(disk);
    if (found === undefined) return `export "${disk}": unknown here (there is no disk "${disk}")`;
    const may = mayOpen(
      disk,
      { address: addressOf(node) },
      {
        network: config.network,
        subnets: config.dhcp.subnets,
        ownerOf: (name) => this.#directory.ownerOf(name),
        nodeNamed: (identity) => this.#nodes.byName(identity)?.name,
        addressOf,
      },
    );
    if (may !== true) return `export "${disk}": not allowed (${may})`;
    this.#attached.set(`${node} ${disk}`, lost);
    return found;
  }

  /** Has a node that is on write a new boot pointer. Rejects with PushError. */
  flash(node: string, request: FlashRequest): Promise<BootPointer> {
    return this.#flashes.flash(node, request);
  }

  accept(end: StreamEnd, node: string, packet: StreamPacket): boolean {
    if (!this.#running) return false;
    if (packet === 'agent')
      void this.#converse({ end, address: this.#parts.addressOf(node), session: { at: 'new' } });
    return true;
  }

  #begin(): [Directory, Flashes] {
    const directory = new Directory(this.#registry, (node) => this.#nodes.byName(node) !== undefined);
    const flashes = new Flashes(directory, {
      isConnected: (node) => this.#byNode.has(node),
      push: async (node, flash) =>
        (await this.#push(node, (request) => ({ type: 'flash', request, ...flash }))).pointer,
    });
    return [directory, flashes];
  }

  async #converse(peer: Peer): Promise<void> {
    this.#peers.add(peer);
    const identity = await take(peer.end, (each) => (each === ENROL_IDENTITY ? ENROLMENT_KEY : undefined));
    if (identity === undefined) return this.#drop(peer);
    const reader = new FrameReader(MAX_AGENT_FRAME);
    try {
      for (let bytes = await peer.end.read(); bytes !== undefined; bytes = await peer.end.read())
        for (const value of reader.push(bytes)) await this.#receive(peer, parseAgentMessage(value));
    } finally {
      this.#drop(peer);
    }
  }

  async #receive(peer: Peer, message: AgentMessage): Promise<void> {
    const turn = receive(peer.session, message, {
      nodes: this.#nodes,
      userConfigs: this.#parts.config.userConfigs,
      peer: peer.address,
      holdsLease: (node, address) => this.#parts.addressOf(node.name) === address,
      lastSeq: (node, bootId) => this.#directory.lastSeq(node, bootId),
    });
    peer.session = turn.session;
    for (const output of turn.outputs) await this.#perform(peer, output);
  }

  async #perform(peer: Peer, output: Output): Promise<void> {
    const at = this.#parts.time.now();
    switch (output.do) {
      case 'send':
        return peer.end.write(encodeFrame(output.message));
      case 'drop':
        return this.#drop(peer);
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
      case 'note':
        return this.#directory.noted(output.node.name, output.pointer);
      case 'settle': {
        const asked = this.#requests.get(output.request);
        if (asked?.peer !== peer) return;
        this.#requests.delete(output.request);
        asked.end('why' in output.answer ? new PushError('refused', output.answer.why) : output.answer);
      }
    }
  }

  #tell(node: NodeConfig, step: string, detail: Record<string, string>): void {
    this.#parts.sink({ at: this.#parts.time.now(), component: 'agent', step, node: node.name, detail });
  }

  #push(node: string, message: (request: number) => ImagerMessage): Promise<{ pointer?: BootPointer }> {
    const peer = this.#byNode.get(node);
    if (peer === undefined) return Promise.reject(notConnected(node));
    const request = ++this.#lastRequest;
    return new Promise((resolve, reject) => {
      const end = (answer: { pointer?: BootPointer } | Error) => {
        late();
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      };
      const late = this.#parts.time.after(PUSH_MS, () => {
        this.#requests.delete(request);
        end(new PushError('deadline', `flash ${node}: no answer within ${PUSH_MS / 1000} s`));
      });
      this.#requests.set(request, { peer, end });
      peer.end.write(encodeFrame(message(request)));
    });
  }

  #drop(peer: Peer): void {
    if (!this.#peers.delete(peer)) return;
    peer.session = { at: 'closed' };
    peer.end.close();
    for (const [request, { peer: asked, end }] of this.#requests)
      if (asked === peer) {
        this.#requests.delete(request);
        end(new PushError('disconnected', `${peer.node} disconnected`));
      }
    const node = this.#nodes.byName(peer.node ?? '');
    if (node === undefined) return;
    if (this.#byNode.get(node.name) === peer) this.#byNode.delete(node.name);
    this.#tell(node, 'disconnect', {});
  }
}
