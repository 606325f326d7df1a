/** An agent of the tests: the protocol's modules over a real, secured socket. */
import type { Socket } from 'node:net';
import { expect, onTestFinished } from 'vitest';
import type { Secret } from '../../agent/linux/host.ts';
import { encodeFrame, FrameReader } from '../../agent/protocol/frame.ts';
import {
  type AgentMessage,
  type Hello,
  type ImagerMessage,
  parseImagerMessage,
} from '../../agent/protocol/messages.ts';
import { connectSecure } from '../support/secure.ts';
import { hello } from './hello.ts';

export class TestAgent {
  readonly socket: Socket;
  /** The TCP connection underneath. */
  readonly raw: Socket;
  readonly #messages: ImagerMessage[] = [];
  #waiting: ((message: ImagerMessage | undefined) => void) | undefined;
  #ended = false;

  private constructor({ socket, raw }: { socket: Socket; raw: Socket }) {
    this.socket = socket;
    this.raw = raw;
    const reader = new FrameReader();
    socket.on('data', (chunk) => {
      for (const value of reader.push(chunk)) {
        const message = parseImagerMessage(value);
        const waiting = this.#waiting;
        this.#waiting = undefined;
        if (waiting === undefined) this.#messages.push(message);
        else waiting(message);
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#ended = true;
      this.#waiting?.(undefined);
    });
  }

  /** `secret`: that of enrolment where none is given. Its connection ends with the test. */
  static async connect(port: number, localAddress = '127.0.0.1', secret?: Secret): Promise<TestAgent> {
    const agent = new TestAgent(await connectSecure({ port, localAddress }, secret));
    onTestFinished(() => agent.close());
    return agent;
  }

  send(message: AgentMessage): void {
    this.socket.write(encodeFrame(message));
  }

  /** The next message; undefined once the imager has closed. */
  next(): Promise<ImagerMessage | undefined> {
    const message = this.#messages.shift();
    if (message !== undefined || this.#ended) return Promise.resolve(message);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** The next message, which has to be of this type. */
  async asked<Type extends ImagerMessage['type']>(
    type: Type,
  ): Promise<Extract<ImagerMessage, { type: Type }>> {
    const message = await this.next();
    expect(message).toMatchObject({ type });
    return message as Extract<ImagerMessage, { type: Type }>;
  }

  /** Says hello and gives the answer. */
  greet(changes: Partial<Hello> = {}): Promise<ImagerMessage | undefined> {
    this.send(hello(changes));
    return this.next();
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#ended) return resolve();
      this.socket.once('close', () => resolve());
      this.socket.destroy();
    });
  }
}
