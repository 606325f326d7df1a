/** A technician's session and a simulated node on a noisy line, in virtual time. */
import type { PointerLayout } from '../../agent/protocol/pointer/layout.ts';
import { ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { newSession } from '../../agent/protocol/serial/caller.ts';
import { NoisyLine } from '../../firmware-stubs/simulated/noisy-line.ts';
import { SimulatedSerialNode } from '../../firmware-stubs/simulated/serial-node.ts';
import type { Progress } from '../../imager/serial/progress.ts';
import { type Outcome, SerialSession } from '../../imager/serial/session.ts';
import type { LineState, Task } from '../../imager/serial/task.ts';

export const UID = '0f9d1c3a-5d0e-4a52-9d3e-1b5b0a1f0001';

/** mulberry32: the same numbers for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface VirtualOptions {
  seed?: number;
  noise?: number;
  baud?: number;
  uid?: string;
  layout?: PointerLayout;
  image?: Uint8Array;
  locked?: boolean;
  /** A line of console text so often, in milliseconds; never without it. */
  chatterMs?: number;
}

/** Both directions, the node, and the clock. */
export class VirtualLine {
  now = 0;
  node: SimulatedSerialNode;
  readonly image: Uint8Array;
  readonly toNode: NoisyLine;
  readonly fromNode: NoisyLine;
  readonly random: () => number;
  readonly baud: number;
  readonly #chatterMs: number;
  #chatterAt: number;

  constructor(options: VirtualOptions = {}) {
    const { seed = 1, noise = 0, baud = 115_200, layout = ubootEnv, locked = false, uid = UID } = options;
    this.random = randomFrom(seed);
    this.baud = baud;
    this.image = options.image ?? new Uint8Array(layout.size);
    this.#chatterMs = options.chatterMs ?? Number.POSITIVE_INFINITY;
    this.#chatterAt = this.#chatterMs;
    const line = { baud, noise, random: this.random };
    this.toNode = new NoisyLine(line);
    this.fromNode = new NoisyLine(line);
    this.node = new SimulatedSerialNode({
      ...{ uid, layout, image: this.image, locked },
      send: (bytes) => this.fromNode.put(bytes, this.now),
    });
    this.node.start();
  }

  /** Moves the cable to another node. */
  plug(node: SimulatedSerialNode): void {
    this.node = node;
  }

  /** Runs a task to its end. `at` is called before each step of time, for what the world does meanwhile. */
  run<T>(task: (line: LineState) => Task<T>, tell: (progress: Progress) => void = () => {}): Outcome<T> {
    const session = new SerialSession<T>({
      task,
      baud: this.baud,
      session: newSession(this.random),
      send: (bytes) => this.toNode.put(bytes, this.now),
      tell,
    });
    session.start(this.now);
    for (let steps = 0; session.outcome === undefined; steps++) {
      if (steps > 200_000) throw new Error('the session does not come to an end');
      this.now = Math.min(session.wakeAt, this.toNode.nextAt, this.fromNode.nextAt, this.#chatterAt);
      for (const bytes of this.toNode.take(this.now)) this.node.receive(bytes);
      for (const bytes of this.fromNode.take(this.now)) session.receive(bytes, this.now);
      if (this.now >= this.#chatterAt) this.#chatter();
      session.tick(this.now);
    }
    return session.outcome;
  }

  #chatter(): void {
    this.node.say(`[${(this.now / 1000).toFixed(6)}] usb 1-1: new high-speed device ${this.random()}\r\n`);
    this.#chatterAt = this.now + this.#chatterMs * (0.5 + this.random());
  }
}
