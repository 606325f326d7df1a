/**
 * The wire between nodes and imager in virtual time. Datagrams that are dropped are gone; what a stream carries is sent again,
 * as TCP does, until it comes through.
 */
import { HostError } from '../../../agent/linux/host.ts';
import type { PacketKind } from '../../rig/scenario/event.ts';
import type { VirtualTime } from './time.ts';

/** What befalls a packet. */
export interface Fate {
  lost: boolean;
  /** Milliseconds that it takes longer. */
  delay: number;
}

/** Who is asked about each packet between a node and the imager, and so hears of each. */
export type Wire = (node: string, packet: PacketKind) => Fate;

/** Who listens for streams at an address. */
export interface Listener {
  /** Takes a connection of `node`, or refuses it (false), as where no program has the port. */
  accept(end: StreamEnd, node: string, packet: StreamPacket): boolean;
  /** What it answers to a datagram on the agent port; undefined: nothing. */
  answer(datagram: Uint8Array): Uint8Array | undefined;
}

export type StreamPacket = Extract<PacketKind, 'agent' | 'nbd' | 'http'>;

const LATENCY_MS = 0.3;
/** Linux' first retransmission of what was sent, and of a SYN. */
const RESEND_MS = 200;
const SYN_RESEND_MS = 1000;

export class SimulatedNetwork {
  readonly #time: VirtualTime;
  readonly #wire: Wire;
  readonly #listeners = new Map<string, Listener>();

  constructor(time: VirtualTime, wire: Wire) {
    this.#time = time;
    this.#wire = wire;
  }

  listen(address: string, listener: Listener): void {
    this.#listeners.set(address, listener);
  }

  /** True where a machine answers for the address. */
  has(address: string): boolean {
    return this.#listeners.has(address);
  }

  /** One datagram between `node` and the imager: `arrive` is called unless it is lost. */
  send(node: string, packet: PacketKind, arrive: () => void): void {
    const { lost, delay } = this.#wire(node, packet);
    if (!lost) this.#time.after(LATENCY_MS + delay, arrive);
  }

  /** A datagram to the agent port, and what comes back; undefined where nothing does in time. */
  ask(node: string, address: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array | undefined> {
    return new Promise((resolve) => {
      const stop = this.#time.after(timeoutMs, () => resolve(undefined));
      this.send(node, 'agent', () => {
        const answer = this.#listeners.get(address)?.answer(bytes);
        if (answer === undefined) return;
        this.send(node, 'agent', () => {
          stop();
          resolve(answer);
        });
      });
    });
  }

  /** A piece of a stream; it comes through some time, unless that is `pointless` by then. */
  carry(node: string, packet: StreamPacket, arrive: () => void, pointless: () => boolean): void {
    const { lost, delay } = this.#wire(node, packet);
    if (!lost) this.#time.after(LATENCY_MS + delay, arrive);
    else
      this.#time.after(RESEND_MS, () => {
        if (!pointless()) this.carry(node, packet, arrive, pointless);
      });
  }

  /** Opens a stream. Rejects with HostError: ECONNREFUSED where nobody has the port, ETIMEDOUT. */
  connect(node: string, packet: StreamPacket, address: string, timeoutMs: number): Promise<StreamEnd> {
    return new Promise((resolve, reject) => {
      let open = true;
      const fail = (code: string, words: string) => {
        open = false;
        reject(new HostError(code, `connect ${address}: ${words}`));
      };
      const stop = this.#time.after(timeoutMs, () => fail('ETIMEDOUT', 'Connection timed out'));
      const knock = () => {
        if (!open) return;
        this.send(node, packet, () => {
          const listener = this.#listeners.get(address);
          if (!open || listener === undefined) return;
          open = false;
          stop();
          const [mine, theirs] = this.#pair(node, packet);
          if (listener.accept(theirs, node, packet)) resolve(mine);
          else fail('ECONNREFUSED', 'Connection refused');
        });
        this.#time.after(SYN_RESEND_MS, knock);
      };
      knock();
    });
  }

  #pair(node: string, packet: StreamPacket): [StreamEnd, StreamEnd] {
    const carry: Carry = (arrive, pointless) => this.carry(node, packet, arrive, pointless);
    const pair: [StreamEnd, StreamEnd] = [new StreamEnd(carry), new StreamEnd(carry)];
    pair[0].join(pair[1]);
    pair[1].join(pair[0]);
    return pair;
  }
}

type Carry = (arrive: () => void, pointless: () => boolean) => void;
/** Bytes of a stream, or its end. */
type Piece = Uint8Array | undefined;

/** One end of a stream. */
export class StreamEnd {
  readonly #carry: Carry;
  #other: StreamEnd | undefined;
  /** What has come and nobody has read yet. */
  readonly #inbox: Piece[] = [];
  #reader: ((piece: Piece) => void) | undefined;
  /** What is to be sent when that before it has come through. */
  #outbox: Piece[] = [];
  #carrying = false;
  #closed = false;
  #vanished = false;

  constructor(carry: Carry) {
    this.#carry = carry;
  }

  join(other: StreamEnd): void {
    this.#other = other;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Nothing comes of it where this end is closed. */
  write(bytes: Uint8Array): void {
    if (!this.#closed) this.#put(bytes.slice());
  }

  /** The next bytes; undefined at the end of the stream. */
  read(): Promise<Piece> {
    if (this.#inbox.length > 0) return Promise.resolve(this.#inbox.shift());
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#reader = resolve;
    });
  }

  /** The other end reads undefined once what was sent before has come through. */
  close(): void {
    if (this.#closed) return;
    this.#put(undefined);
    this.#closed = true;
    this.#reader?.(undefined);
  }

  /** This end's machine has lost its power: nothing is sent again, and the other end hears nothing any more. */
  vanish(): void {
    this.#closed = true;
    this.#vanished = true;
    this.#outbox = [];
  }

  #put(piece: Piece): void {
    this.#outbox.push(piece);
    if (!this.#carrying) this.#go();
  }

  #go(): void {
    const pieces = this.#outbox.splice(0);
    this.#carrying = pieces.length > 0;
    if (!this.#carrying) return;
    const arrive = () => {
      for (const piece of pieces) this.#other?.take(piece);
      this.#go();
    };
    this.#carry(arrive, () => this.#vanished || (this.#other?.closed ?? true));
  }

  /** What has come through from the other end. */
  take(piece: Piece): void {
    if (this.#closed) return;
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) this.#inbox.push(piece);
    else reader(piece);
  }
}
