/**
 * The connection to the imager: opened as soon as there is a network, kept for as long as the node is up, opened
 * again whenever it breaks. Steps wait in memory until the imager acknowledges them; they are also on the console.
 */
import type { ImagerLink } from '../ports.ts';
import { encodeFrame, FrameReader } from '../protocol/frame.ts';
import {
  type AgentMessage,
  type Flash,
  type Hello,
  type ImagerMessage,
  type Plan,
  parseImagerMessage,
  type Step,
  type StepDetail,
} from '../protocol/messages.ts';
import type { BootPointer } from '../protocol/pointer/record.ts';
import type { ResourcesMessage } from '../protocol/resources.ts';
import type { Connection, Host } from './host.ts';
import { type ImagerAddress, imagerText } from './imager-address.ts';

const CONNECT_MS = 2000;
const RETRY_MS = 500;
/** The agent says something at least this often; an imager that is silent for two such times is gone. */
const PING_MS = 10_000;
/** Steps kept for an imager that is away: more than a boot has. The oldest go first. */
const KEPT_STEPS = 1000;

/** What the imager may ask of a node. Throwing refuses the request with the error's message. */
export interface Commands {
  /** The name the imager has for this node. */
  named(hostname: string): void;
  flash(request: Flash): BootPointer;
  /** Gives what is to be done once the answer is on its way. */
  power(action: 'reboot' | 'poweroff'): () => void;
}

export class AgentLink implements ImagerLink {
  readonly #host: Host;
  readonly #imagers: readonly ImagerAddress[];
  readonly #hello: () => Hello;
  readonly #commands: Commands;
  readonly #unacknowledged: Step[] = [];
  #steps = 0;
  #connection: Connection | undefined;
  #welcomed = false;
  #heard = 0;
  #plan: Plan | null | undefined;
  #complaint = '';
  #resources: (() => Omit<ResourcesMessage, 'type'>) | undefined;
  readonly #planWaiters: ((plan: Plan | null) => void)[] = [];
  readonly #settleWaiters: (() => void)[] = [];

  constructor(host: Host, imagers: readonly ImagerAddress[], hello: () => Hello, commands: Commands) {
    this.#host = host;
    this.#imagers = imagers;
    this.#hello = hello;
    this.#commands = commands;
  }

  /** Keeps the connection up for ever. */
  async serve(): Promise<never> {
    for (;;) {
      for (const imager of this.#imagers) {
        try {
          await this.#converse(await this.#host.connect(imager.address, imager.port, CONNECT_MS));
        } catch (error) {
          this.#complain(
            `imager ${imagerText(imager)}: ${error instanceof Error ? error.message : String(error)}`,
          );
        }
        this.#connection?.close();
        this.#connection = undefined;
        this.#welcomed = false;
      }
      await this.#host.sleep(RETRY_MS);
    }
  }

  report(step: string, detail: StepDetail): void {
    this.#steps += 1;
    const uptime = Math.round(this.#host.uptime() * 1000) / 1000;
    const message: Step = { type: 'step', seq: this.#steps, step, uptime, detail };
    const words = Object.entries(detail).map(([key, value]) => ` ${key}=${value}`);
    this.#host.print(`bootwright: step ${step} ${uptime.toFixed(3)}${words.join('')}`);
    this.#unacknowledged.push(message);
    if (this.#unacknowledged.length > KEPT_STEPS) this.#unacknowledged.shift();
    if (this.#welcomed) this.#send(message);
  }

  /** Tells the imager what the node consists of, now and at each join to come. */
  describe(discover: () => Omit<ResourcesMessage, 'type'>): void {
    this.#resources = discover;
    if (this.#welcomed) this.#send({ type: 'resources', ...discover() });
  }

  /** Tells the imager what the pointer says now; one that is away hears it in the next hello. */
  pointed(pointer: BootPointer): void {
    if (this.#welcomed) this.#send({ type: 'pointer', pointer });
  }

  plan(): Promise<Plan | null> {
    if (this.#plan !== undefined) return Promise.resolve(this.#plan);
    return new Promise((resolve) => this.#planWaiters.push(resolve));
  }

  async settle(milliseconds: number): Promise<void> {
    if (this.#unacknowledged.length === 0) return;
    const settled = new Promise<void>((resolve) => this.#settleWaiters.push(resolve));
    await Promise.race([settled, this.#host.sleep(milliseconds)]);
  }

  /** One connection from hello to its end. */
  async #converse(connection: Connection): Promise<void> {
    this.#connection = connection;
    this.#heard = this.#host.uptime();
    this.#send(this.#hello());
    const over = { is: false };
    const watch = this.#watch(connection, over);
    try {
      const reader = new FrameReader();
      for (;;) {
        const chunk = await connection.read();
        if (chunk === undefined) throw new Error('closed the connection');
        this.#heard = this.#host.uptime();
        for (const value of reader.push(chunk)) this.#take(parseImagerMessage(value));
      }
    } finally {
      over.is = true;
      watch.catch(() => {});
    }
  }

  /** Pings, and closes a connection whose other end has gone without a word. */
  async #watch(connection: Connection, over: { is: boolean }): Promise<void> {
    for (;;) {
      await this.#host.sleep(PING_MS);
      if (over.is) return;
      if (this.#host.uptime() - this.#heard > (2 * PING_MS) / 1000) {
        connection.close();
        return;
      }
      this.#send({ type: 'ping' });
    }
  }

  #take(message: ImagerMessage): void {
    switch (message.type) {
      case 'welcome':
        this.#welcomed = true;
        this.#complaint = '';
        this.#commands.named(message.hostname);
        this.#plan = message.plan;
        for (const waiter of this.#planWaiters.splice(0)) waiter(message.plan);
        for (const step of this.#unacknowledged) this.#send(step);
        if (this.#resources !== undefined) this.#send({ type: 'resources', ...this.#resources() });
        return;
      case 'refuse':
        throw new Error(`refuses this node: ${message.why}`);
      case 'ack': {
        const at = this.#unacknowledged.findIndex((step) => step.seq === message.seq);
        if (at >= 0) this.#unacknowledged.splice(at, 1);
        if (this.#unacknowledged.length === 0) for (const waiter of this.#settleWaiters.splice(0)) waiter();
        return;
      }
      case 'flash':
        this.#answer(message.request, () => {
          const pointer = this.#commands.flash(message);
          this.#send({ type: 'done', request: message.request, pointer });
        });
        return;
      case 'power':
        this.#answer(message.request, () => {
          const act = this.#commands.power(message.action);
          this.#send({ type: 'done', request: message.request });
          act();
        });
        return;
      case 'pong':
        return;
    }
  }

  #answer(request: number, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#send({
        type: 'failed',
        request,
        why: error instanceof Error ? error.message : String(error),
      });
    }
  }

  #send(message: AgentMessage): void {
    // A failed write ends the reads as well: the loop above sees it there and connects again.
    this.#connection?.write(encodeFrame(message)).catch(() => {});
  }

  /** Says each reason once, not with every attempt. */
  #complain(text: string): void {
    if (text === this.#complaint) return;
    this.#complaint = text;
    this.#host.print(`bootwright: ${text}`);
  }
}
