/** The agent's link against an imager's end of real sockets on loopback. */
import { EventEmitter, once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Connection, HostError } from '../../agent/linux/host.ts';
import { AgentLink, type Commands } from '../../agent/linux/link.ts';
import { secretOf } from '../../agent/linux/secret.ts';
import { encodeFrame, FrameReader } from '../../agent/protocol/frame.ts';
import {
  type AgentMessage,
  type Hello,
  type ImagerMessage,
  PROTOCOL_VERSION,
  parseAgentMessage,
} from '../../agent/protocol/messages.ts';
import { QuietHost } from '../fakes/quiet-host.ts';
import { eventually } from '../support/eventually.ts';
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

const refused = () => {
  throw new Error('not in this test');
};
const COMMANDS: Commands = {
  secret: () => ENROL,
  cluster: () => 'lab',
  named: refused,
  flash: refused,
  power: refused,
  member: refused,
};

async function linked(commands: Partial<Commands> = {}) {
  const imager = await Imager.start();
  open.push(imager);
  const host = new PlainHost();
  const link = new AgentLink(host, [{ address: '127.0.0.1', port: imager.port }], BOOT, () => HELLO, {
    ...COMMANDS,
    named: (hostname) => host.setHostName(hostname),
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
      throw new Error('the store in /dev/vda is damaged');
    };
    const link = new AgentLink(host, [{ address: '127.0.0.1', port: imager.port }], BOOT, broken, {
      ...COMMANDS,
    });
    const connected = once(imager, 'connection');
    void link.serve();
    const [socket] = (await connected) as [Socket];
    socket.resume();
    await once(socket, 'close');
    // It is no imager's matter.
    expect(host.console[0]).toBe('bootwright: the store in /dev/vda is damaged');
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

  it('tells what a script left while no imager had the node, until that is kept', async () => {
    const { imager, link } = await linked();
    const output = {
      ...{ script: '10-site.sh', deployment: 'd1', bootId: 'b1', stage: 1 as const },
      ...{ code: 0, timedOut: false, began: 1, took: 0.5, output: 'well\n' },
    };
    link.output(output);
    imager.send(WELCOME);
    expect(await imager.take()).toEqual({ type: 'output', ...output });
    imager.socket?.destroy();
    expect(await imager.take()).toEqual(HELLO);
    imager.send(WELCOME);
    expect(await imager.take()).toEqual({ type: 'output', ...output });
    imager.send({ type: 'kept', script: output.script, bootId: output.bootId });
    // That must have arrived before the connection ends.
    imager.send({ type: 'power', request: 1, action: 'reboot' });
    expect(await imager.take()).toMatchObject({ type: 'failed' });
    imager.socket?.destroy();
    expect(await imager.take()).toEqual(HELLO);
    link.report('ready', {});
    imager.send(WELCOME);
    expect(await imager.take()).toMatchObject({ step: 'ready' });
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

  it('says at the node why a restart that it has agreed to did not come', async () => {
    const { imager, host } = await linked({
      power: (action) => () => {
        throw new Error(`${action}: not root`);
      },
    });
    imager.send(WELCOME);
    imager.send({ type: 'power', request: 1, action: 'reboot' });
    expect(await imager.take()).toEqual({ type: 'done', request: 1 });
    await eventually(() => expect(host.console).toContain('bootwright: reboot: not root'));
  });

  it('says why it was refused once, and keeps trying', async () => {
    const { imager, host, link } = await linked();
    const begun = host.uptime();
    expect(link.refusedSince).toBeUndefined();
    for (let i = 0; i < 2; i++) {
      imager.send({ type: 'refuse', why: 'no node has this UID' });
      expect(await imager.take()).toEqual(HELLO);
    }
    expect(host.console).toEqual([
      `bootwright: imager 127.0.0.1:${imager.port}: refuses this node: no node has this UID`,
      'bootwright: no imager welcomes this node: it goes on by itself and keeps what it has to report',
    ]);
    // The second attempt was begun after the first was over.
    expect(link.refusedSince).toBeGreaterThan(begun);
    imager.send(WELCOME);
    await expect.poll(() => link.connectedSince).toBeDefined();
    expect(link.refusedSince).toBeUndefined();
  });

  it('says of each imager once why it does not have it, and again what has changed', async () => {
    const [first, second] = [await Imager.start(), await Imager.start()];
    open.push(first, second);
    const ports = [first.port, second.port];
    const host = new PlainHost();
    host.random = () => 0;
    const link = new AgentLink(
      host,
      ports.map((port) => ({ address: '127.0.0.1', port })),
      BOOT,
      () => HELLO,
      { ...COMMANDS, named() {} },
    );
    void link.serve();
    const said = () =>
      host.console.map((line) =>
        line.replace(/^.*:(\d+): /, (_, port) => `${ports.indexOf(Number(port)) + 1} `),
      );
    const refusals = [
      [first, 'one', 'other'],
      [second, 'two', 'two'],
    ] as const;
    for (const round of [0, 0, 1, 1])
      for (const [imager, ...why] of refusals) {
        expect(await imager.take()).toEqual(HELLO);
        imager.send({ type: 'refuse', why: why[round]! });
      }
    expect(await first.take()).toEqual(HELLO);
    const told = [
      '1 refuses this node: one',
      '2 refuses this node: two',
      'bootwright: no imager welcomes this node: it goes on by itself and keeps what it has to report',
      '1 refuses this node: other',
    ];
    expect(said()).toEqual(told);
    // Nor with each connection to the one that has it.
    for (let time = 0; time < 2; time++) {
      first.send({ type: 'refuse', why: 'other' });
      expect(await second.take()).toEqual(HELLO);
      second.send(WELCOME);
      second.send({ type: 'power', request: 1, action: 'reboot' });
      expect(await second.take()).toMatchObject({ type: 'failed' });
      second.socket?.destroy();
      expect(await first.take()).toEqual(HELLO);
    }
    expect(said().slice(told.length)).toEqual([
      '2 welcomes this node as n1 of cluster lab',
      '2 closed the connection',
      '2 closed the connection',
    ]);
  });

  it('says who welcomes it, and as whom; of another connection to the same nothing more', async () => {
    const { imager, host } = await linked();
    const welcomes = () => host.console.filter((line) => line.includes('welcomes this node as'));
    const said = `bootwright: imager 127.0.0.1:${imager.port}: welcomes this node as n1 of cluster lab`;
    // An answer comes after the welcome was taken.
    const answered = async () => {
      imager.send({ type: 'power', request: 1, action: 'reboot' });
      expect(await imager.take()).toMatchObject({ type: 'failed' });
    };
    const again = async (message: ImagerMessage) => {
      imager.socket?.destroy();
      expect(await imager.take()).toEqual(HELLO);
      imager.send(message);
    };
    imager.send(WELCOME);
    await answered();
    expect(welcomes()).toEqual([said]);
    await again(WELCOME);
    await answered();
    expect(welcomes()).toEqual([said]);
    await again({ type: 'refuse', why: 'undefined\u001b[2J' });
    expect(await imager.take()).toEqual(HELLO);
    imager.send(WELCOME);
    await answered();
    expect(welcomes()).toEqual([said, said]);
    expect(host.console).toContain(
      `bootwright: imager 127.0.0.1:${imager.port}: refuses this node: undefined?[2J`,
    );
    await again({ ...WELCOME, node: 'n2' });
    await answered();
    expect(welcomes().slice(2)).toEqual([said.replace('n1', 'n2')]);
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

  it('says of an imager that answers no more that it is silent, not that it hung up', async () => {
    const { imager, host } = await linked();
    const now = host.uptime();
    imager.send({ ...WELCOME, heartbeatSeconds: 0.1 });
    await expect.poll(() => host.console).toHaveLength(1);
    vi.spyOn(host, 'uptime').mockImplementation(() => now + 60);
    expect(await imager.take()).toEqual(HELLO);
    expect(host.console.slice(1)).toEqual([
      `bootwright: imager 127.0.0.1:${imager.port}: says nothing for 2.2 s`,
    ]);
  });

  it('whose place another has taken stays away for minutes, and says so', async () => {
    const { imager, host } = await linked();
    const slept: number[] = [];
    const minutes = new Promise<void>((resolve) => {
      vi.spyOn(host, 'sleep').mockImplementation((milliseconds) => {
        slept.push(milliseconds);
        if (milliseconds >= 300_000) resolve();
        return new Promise(() => {});
      });
    });
    imager.send(WELCOME);
    imager.send({ type: 'replaced', why: 'another agent has the place of n1, at 10.0.0.2' });
    await minutes;
    expect(slept.filter((each) => each >= 300_000 && each <= 600_000)).toHaveLength(1);
    expect(host.console.slice(1)).toEqual([
      `bootwright: imager 127.0.0.1:${imager.port}: another agent has the place of n1, at 10.0.0.2: ` +
        'this one tries again in 5 to 10 minutes',
    ]);
  });

  it('whose key is not taken says what that means, and what helps where it is kept', async () => {
    const definition = (id: string, cluster: string) => ({
      ...{ id, cluster: { name: 'lab', id: cluster }, number: 1, name: 'n1', uid: 'serial:x1', imagers: [] },
      ...{ key: new Uint8Array(32), signer: new Uint8Array(65) },
    });
    const [one, two] = [definition('i1', 'c1'), definition('i2', 'c2')];
    const said = async (definitions: (typeof one)[], code = 'EKEYREJECTED') => {
      const host = new QuietHost();
      host.secure = () => Promise.reject(new HostError(code, 'tls: alert'));
      const imager = await Imager.start();
      open.push(imager);
      const link = new AgentLink(host, [{ address: '127.0.0.1', port: imager.port }], BOOT, () => HELLO, {
        ...COMMANDS,
        secret: () =>
          secretOf(host, { definitions, current: definitions[0]?.cluster.id ?? null, target: null }),
      });
      void link.serve();
      await eventually(() => expect(host.console).toHaveLength(2));
      vi.spyOn(host, 'sleep').mockImplementation(() => new Promise(() => {}));
      return host.console[0]!.replace(/^.*?:\d+: /, '');
    };
    const unknown = (erase: string) =>
      `does not know this node's definition in cluster ${erase}, or has another key for it (tls: alert). ` +
      `If it is your imager, and the node was undefined or its registry lost: end this agent first, for it holds the ` +
      `store's lock, then agent local erase ${erase}`;
    expect(await said([one])).toBe(unknown('lab'));
    // Two of one name: only an id tells them apart.
    expect(await said([two, one])).toBe(unknown('c2'));
    expect(await said([])).toContain("does not take this node's key of enrolment (tls: alert)");
    // Where TLS does not say that it is the key nobody does.
    for (const definitions of [[one], []])
      expect(await said(definitions, 'EPROTO')).toBe(
        'what answers there is no imager, or none of this version (tls: alert)',
      );
  });

  it('drops a connection that sends something else than messages', async () => {
    const { imager, host } = await linked();
    imager.socket?.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    expect(await imager.take()).toEqual(HELLO);
    expect(host.console[0]).toContain('frame of 4294967295 bytes announced');
  });
});
