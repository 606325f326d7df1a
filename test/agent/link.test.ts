/** The agent's link against an imager's end of real sockets on loopback. */
import { EventEmitter, once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
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
import { ENROL } from '../support/secure.ts';

/** What is said is what this is about; that it is secured, secure.test.ts. */
class PlainHost extends QuietHost {
  override secure(connection: Connection): Promise<Connection> {
    return Promise.resolve(connection);
  }
}

const HELLO: Hello = {
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

const WELCOME: ImagerMessage = { type: 'welcome', node: 'n1', hostname: 'n1.example', plan: null };

const POINTER = {
  sequence: 8,
  image: 'beta',
  disks: ['root'],
  imagers: ['127.0.0.1'],
  cluster: 'one',
  deployment: 'd2',
  phase: 'deploy' as const,
  attempts: 3,
  fallback: '',
};

/** The imager's end: takes connections one after another, and what they say. */
class Imager extends EventEmitter {
  readonly server: Server = createServer((socket) => {
    const reader = new FrameReader();
    socket.on('data', (chunk) => {
      for (const value of reader.push(chunk)) this.#queue(parseAgentMessage(value));
    });
    socket.on('error', () => {});
    this.socket = socket;
    this.emit('connection', socket);
  });
  socket: Socket | undefined;
  readonly #messages: AgentMessage[] = [];

  static async start(): Promise<Imager> {
    const imager = new Imager();
    imager.server.listen(0, '127.0.0.1');
    await once(imager.server, 'listening');
    return imager;
  }

  get port(): number {
    const address = this.server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  send(message: ImagerMessage): void {
    this.socket?.write(encodeFrame(message));
  }

  /** The next message that is no heartbeat. */
  async take(): Promise<AgentMessage> {
    while (this.#messages.length === 0) await once(this, 'message');
    return this.#messages.shift()!;
  }

  #queue(message: AgentMessage): void {
    if (message.type === 'heartbeat') return;
    this.#messages.push(message);
    this.emit('message');
  }
}

const open: Imager[] = [];
afterEach(() => {
  for (const imager of open.splice(0)) {
    imager.socket?.destroy();
    imager.server.close();
  }
});

async function linked(commands: Partial<Commands> = {}) {
  const imager = await Imager.start();
  open.push(imager);
  const host = new PlainHost();
  const refused = () => {
    throw new Error('not in this test');
  };
  const link = new AgentLink(host, [{ address: '127.0.0.1', port: imager.port }], BOOT, () => HELLO, {
    secret: () => ENROL,
    named: (hostname) => host.setHostName(hostname),
    flash: refused,
    power: refused,
    member: refused,
    ...commands,
  });
  void link.serve();
  expect(await imager.take()).toEqual(HELLO);
  return { imager, host, link };
}

describe('the link to the imager', () => {
  it('leaves no connection behind where it cannot say who it is', async () => {
    const imager = await Imager.start();
    open.push(imager);
    const host = new PlainHost();
    const broken = () => {
      throw new Error('the store is damaged');
    };
    const link = new AgentLink(host, [{ address: '127.0.0.1', port: imager.port }], BOOT, broken, {
      ...{ secret: () => ENROL, named: broken, flash: broken, power: broken, member: broken },
    });
    const connected = once(imager, 'connection');
    void link.serve();
    const [socket] = (await connected) as [Socket];
    socket.resume();
    await once(socket, 'close');
    expect(host.console.join()).toContain('the store is damaged');
  });

  it('says hello, takes its host name and its plan from the welcome', async () => {
    const { imager, host, link } = await linked();
    const plan = link.plan();
    imager.send(WELCOME);
    expect(await plan).toBeNull();
    expect(host.hostNames).toEqual(['n1.example']);
    expect(await link.plan()).toBeNull();
  });

  it('reports steps on the console and to the imager, again after a reconnection until acknowledged', async () => {
    const { imager, host, link } = await linked();
    link.report('pointer', { image: 'alpha' });
    link.report('mounted', {});
    imager.send(WELCOME);
    expect(await imager.take()).toMatchObject({
      type: 'step',
      seq: 1,
      step: 'pointer',
      detail: { image: 'alpha' },
    });
    expect(await imager.take()).toMatchObject({ seq: 2, step: 'mounted' });
    imager.send({ type: 'ack', seq: 1 });
    // The acknowledgement must have arrived before the connection ends.
    imager.send({ type: 'power', request: 1, action: 'reboot' });
    expect(await imager.take()).toMatchObject({ type: 'failed' });
    imager.socket?.destroy();
    expect(await imager.take()).toEqual(HELLO);
    imager.send(WELCOME);
    expect(await imager.take()).toMatchObject({ seq: 2, step: 'mounted' });
    const settled = link.settle(10_000);
    imager.send({ type: 'ack', seq: 2 });
    await settled;
    expect(host.console[0]).toMatch(/^bootwright: step pointer \d+\.\d{3} image=alpha$/);
  });

  it('settle ends after its time where nobody acknowledges', async () => {
    const { link } = await linked();
    link.report('reboot', {});
    await link.settle(20);
  });

  it('answers a flash with the record that was written, a refused one with the reason', async () => {
    let broken = false;
    const { imager } = await linked({
      async flash(request) {
        if (broken) throw new Error('boot pointer not verified');
        return { ...POINTER, image: request.image };
      },
    });
    const flash: ImagerMessage = {
      type: 'flash',
      request: 4,
      image: 'beta',
      disks: ['root'],
      imagers: ['127.0.0.1'],
      cluster: 'one',
      deployment: 'd2',
    };
    imager.send(WELCOME);
    imager.send(flash);
    expect(await imager.take()).toEqual({ type: 'done', request: 4, pointer: POINTER });
    broken = true;
    imager.send({ ...flash, request: 5 });
    expect(await imager.take()).toEqual({ type: 'failed', request: 5, why: 'boot pointer not verified' });
  });

  it('says why it was refused once, and keeps trying', async () => {
    const { imager, host } = await linked();
    for (let i = 0; i < 2; i++) {
      imager.send({ type: 'refuse', why: 'no node has this UID' });
      expect(await imager.take()).toEqual(HELLO);
    }
    expect(host.console).toEqual([
      `bootwright: imager 127.0.0.1:${imager.port}: refuses this node: no node has this UID`,
      'bootwright: no imager welcomes this node: it goes on by itself and keeps what it has to report',
    ]);
  });

  it('connects anew where it is asked to; the present connection goes on until the new one is welcomed', async () => {
    const { imager, host, link } = await linked();
    imager.send(WELCOME);
    await expect.poll(() => link.connectedSince).toBeDefined();
    const [before, since] = [imager.socket!, link.connectedSince!];
    const refused = link.renew();
    expect(await imager.take()).toEqual(HELLO);
    imager.send({ type: 'refuse', why: 'not there' });
    expect(await refused).toBe('refused');
    expect(link.connectedSince).toBe(since);

    const renewed = link.renew();
    expect(await imager.take()).toEqual(HELLO);
    link.report('pointer', {});
    expect(await imager.take()).toMatchObject({ step: 'pointer' });
    // As an imager does that has the node twice: the welcome may come after the end of the former connection.
    const gone = once(before, 'close');
    before.end();
    await gone;
    imager.send(WELCOME);
    expect(await renewed).toBe('welcomed');
    expect(link.connectedSince).toBeGreaterThan(since);
    expect(host.console.join()).not.toContain('closed the connection');
    // Said again over the new one.
    expect(await imager.take()).toMatchObject({ step: 'pointer' });
    link.report('mounted', {});
    expect(await imager.take()).toMatchObject({ step: 'mounted' });
  });

  it('drops a connection that sends something else than messages', async () => {
    const { imager, host } = await linked();
    imager.socket?.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    expect(await imager.take()).toEqual(HELLO);
    expect(host.console[0]).toContain('frame of 4294967295 bytes announced');
  });
});
