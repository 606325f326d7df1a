/** An imager's end of real sockets on loopback, and links of agents to it. */
import { EventEmitter, once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { expect, onTestFinished } from 'vitest';
import type { Connection } from '../../agent/linux/host.ts';
import { AgentLink, type Commands } from '../../agent/linux/link.ts';
import { encodeFrame, FrameReader } from '../../agent/protocol/frame.ts';
import {
  type AgentMessage,
  type Hello,
  type ImagerMessage,
  PROTOCOL_VERSION,
  parseAgentMessage,
} from '../../agent/protocol/messages.ts';
import { QuietHost } from '../fakes/quiet-host.ts';
import { listening } from '../support/listening.ts';
import { ENROL } from '../support/secure.ts';

/** What is said is what this is about; that it is secured, secure.test.ts. */
export class PlainHost extends QuietHost {
  override secure(connection: Connection): Promise<Connection> {
    return Promise.resolve(connection);
  }

  /** To the nanosecond: the kernel tells its uptime to 10 ms, in which these links connect more than once. */
  override uptime(): number {
    return Number(process.hrtime.bigint()) / 1e9;
  }
}

export const HELLO: Hello = {
  type: 'hello',
  version: PROTOCOL_VERSION,
  uid: 'serial:x1',
  macs: [],
  bootId: 'b1',
  bootedImage: 'alpha',
  pointer: null,
  uptime: 1,
  local: null,
  keeps: false,
};

const BOOT = { uid: HELLO.uid, bootId: HELLO.bootId, bootedImage: HELLO.bootedImage };

export const WELCOME = {
  type: 'welcome',
  node: 'n1',
  hostname: 'n1.example',
  plan: null,
} satisfies ImagerMessage;

/** Takes connections one after another, and what they say. */
export class Imager extends EventEmitter {
  readonly #server = createServer((socket) => {
    const reader = new FrameReader();
    socket.on('data', (chunk) => {
      for (const value of reader.push(chunk)) this.#queue(parseAgentMessage(value));
    });
    socket.on('error', () => {});
    this.socket = socket;
    this.emit('connection', socket);
  });
  port = 0;
  socket: Socket | undefined;
  readonly #messages: AgentMessage[] = [];

  /** It is there until the test ends. */
  static async start(): Promise<Imager> {
    const imager = new Imager();
    imager.port = await listening(imager.#server);
    onTestFinished(() => {
      imager.socket?.destroy();
      imager.#server.close();
    });
    return imager;
  }

  send(message: ImagerMessage): void {
    this.socket?.write(encodeFrame(message));
  }

  /** The next message that is no heartbeat. */
  async take(): Promise<AgentMessage> {
    while (this.#messages.length === 0) await once(this, 'message');
    return this.#messages.shift()!;
  }

  /** Resolves once the agent has taken what was sent, for it answers this behind it. */
  async taken(): Promise<void> {
    this.send({ type: 'power', request: 1, action: 'reboot' });
    expect(await this.take()).toMatchObject({ type: 'failed' });
  }

  /** Ends the connection; the agent comes again. */
  async cut(): Promise<void> {
    this.socket?.destroy();
    expect(await this.take()).toEqual(HELLO);
  }

  #queue(message: AgentMessage): void {
    if (message.type === 'heartbeat') return;
    this.#messages.push(message);
    this.emit('message');
  }
}

const refused = () => {
  throw new Error('not in this test');
};

/** The link of an agent that does only those commands. */
export function linkTo(
  imagers: readonly Imager[],
  host: QuietHost,
  commands: Partial<Commands> = {},
  hello = () => HELLO,
): AgentLink {
  const addresses = imagers.map(({ port }) => ({ address: '127.0.0.1', port }));
  return new AgentLink(host, addresses, BOOT, hello, {
    ...{ secret: () => ENROL, cluster: () => 'lab', flash: refused, power: refused, member: refused },
    named: (hostname) => host.setHostName(hostname),
    ...commands,
  });
}

/** An agent that has said hello. */
export async function linked(commands: Partial<Commands> = {}) {
  const imager = await Imager.start();
  const host = new PlainHost();
  const link = linkTo([imager], host, commands);
  void link.serve();
  expect(await imager.take()).toEqual(HELLO);
  return { imager, host, link };
}
