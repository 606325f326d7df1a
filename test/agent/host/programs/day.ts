/**
 * A day of supervision on the static binary's own engine and allocator: the agent's own link, in virtual time, against an
 * imager in the same process. Arguments: hours, a folder for the report. Prints what is in use after each hour as a line of
 * JSON. No bytes leave the process, and the connection is not secured: what TLS allocates is not in this.
 */
import * as bw from 'bw';
import type { Connection } from '../../../../agent/linux/host.ts';
import { HostError } from '../../../../agent/linux/host.ts';
import { AgentLink } from '../../../../agent/linux/link.ts';
import { encodeFrame, FrameReader } from '../../../../agent/protocol/frame.ts';
import { answerToProbe } from '../../../../agent/protocol/heartbeat.ts';
import {
  type ImagerMessage,
  PROTOCOL_VERSION,
  parseAgentMessage,
} from '../../../../agent/protocol/messages.ts';
import type { BootPointer } from '../../../../agent/protocol/pointer/record.ts';
import { QuickjsHost } from '../../../../agent/quickjs/host.ts';
import { start } from '../../../../agent/quickjs/start.ts';

const POINTER: BootPointer = {
  ...{
    sequence: 1,
    image: 'alpha',
    disks: ['root'],
    imagers: ['10.0.0.1'],
    cluster: 'lab',
    deployment: 'd1',
  },
  ...{ phase: 'ready', attempts: 3, fallback: '' },
};

/** Everything the machine waits for, in virtual time. */
class Clock {
  now = 0;
  readonly #agenda: { at: number; wake: () => void }[] = [];

  sleep(milliseconds: number): Promise<void> {
    return new Promise((wake) => {
      const at = this.now + milliseconds;
      let place = this.#agenda.length;
      while (place > 0 && this.#agenda[place - 1]!.at > at) place--;
      this.#agenda.splice(place, 0, { at, wake });
    });
  }

  async run(until: number): Promise<void> {
    for (;;) {
      // A turn of the real loop: every promise that can go on does.
      await new Promise<void>((turned) => setTimeout(turned, 0));
      const [next] = this.#agenda;
      if (next === undefined || next.at > until) break;
      this.#agenda.shift();
      this.now = next.at;
      next.wake();
    }
    this.now = until;
  }
}

/** One end of a connection inside the process. */
class Pipe implements Connection {
  readonly #inbox: (Uint8Array | undefined)[] = [];
  #reader: ((bytes: Uint8Array | undefined) => void) | undefined;
  other: Pipe | undefined;

  async write(bytes: Uint8Array): Promise<void> {
    if (this.other === undefined) throw new HostError('EPIPE', 'write: closed');
    this.other.put(bytes);
  }
  read(): Promise<Uint8Array | undefined> {
    if (this.#inbox.length > 0) return Promise.resolve(this.#inbox.shift());
    if (this.other === undefined) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#reader = resolve;
    });
  }
  close(): void {
    const { other } = this;
    this.other = undefined;
    this.put(undefined);
    other?.close();
  }
  put(bytes: Uint8Array | undefined): void {
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) this.#inbox.push(bytes);
    else reader(bytes);
  }
}

/** Takes every node, answers everything. */
class Imager {
  up = true;
  counts = { hello: 0, heartbeat: 0, step: 0, done: 0 };
  #end: Pipe | undefined;
  #requests = 0;

  accept(): Pipe {
    const [mine, theirs] = [new Pipe(), new Pipe()];
    mine.other = theirs;
    theirs.other = mine;
    this.#end = mine;
    void this.#converse(mine);
    return theirs;
  }
  stop(): void {
    this.up = false;
    this.#end?.close();
  }
  flash(): void {
    const { image, disks, imagers, cluster } = POINTER;
    const request = ++this.#requests;
    this.#send({ type: 'flash', request, image, disks, imagers, cluster, deployment: `d${request}` });
  }
  #send(message: ImagerMessage): void {
    this.#end?.write(encodeFrame(message)).catch(() => {});
  }
  async #converse(end: Pipe): Promise<void> {
    const reader = new FrameReader();
    for (let bytes = await end.read(); bytes !== undefined; bytes = await end.read())
      for (const value of reader.push(bytes)) {
        const message = parseAgentMessage(value);
        if (message.type in this.counts) this.counts[message.type as keyof Imager['counts']]++;
        if (message.type === 'hello') this.#send({ type: 'welcome', node: 'n1', hostname: 'n1', plan: null });
        if (message.type === 'heartbeat') this.#send({ type: 'pong' });
        if (message.type === 'step')
          this.#send({ type: 'ack', seq: message.seq, ...(message.boot && { boot: message.boot.id }) });
      }
  }
}

const ADAPTER: Record<string, string> = {
  ...{ type: '1', carrier: '1', speed: '1000', operstate: 'up', address: '52:54:00:00:00:01' },
};

/** The static binary's host, with time, network and adapters of this program. */
class DayHost extends QuickjsHost {
  readonly #clock: Clock;
  readonly #imager: Imager;
  constructor(clock: Clock, imager: Imager) {
    super();
    this.#clock = clock;
    this.#imager = imager;
  }
  override uptime(): number {
    return this.#clock.now / 1000;
  }
  override sleep(milliseconds: number): Promise<void> {
    return this.#clock.sleep(milliseconds);
  }
  override async connect(address: string): Promise<Connection> {
    if (!this.#imager.up) throw new HostError('ECONNREFUSED', `connect ${address}: Connection refused`);
    return this.#imager.accept();
  }
  override async secure(connection: Connection): Promise<Connection> {
    return connection;
  }
  override list(path: string): string[] {
    return path === '/sys/class/net' ? ['eth0', 'eth1'] : super.list(path);
  }
  override readFile(path: string): Uint8Array {
    if (!path.startsWith('/sys/class/net/')) return super.readFile(path);
    const file = path.split('/')[5]!;
    const text = file === 'statistics' ? String(Math.floor(this.#clock.now / 7)) : ADAPTER[file]!;
    return new TextEncoder().encode(`${text}\n`);
  }
  override addressOf(): string {
    return '10.0.0.2';
  }
  override async ask(_name: string, _address: string, _port: number, bytes: Uint8Array) {
    return this.#imager.up ? answerToProbe(bytes) : undefined;
  }
  override print(): void {}
}

start(async (host, [hours = '24', folder = '/tmp']) => {
  const clock = new Clock();
  const imager = new Imager();
  const day = new DayHost(clock, imager);
  const hello = () => ({
    ...{ type: 'hello' as const, version: PROTOCOL_VERSION, uid: 'serial:n1', macs: [], bootId: 'b1' },
    ...{ bootedImage: 'alpha', pointer: POINTER, uptime: day.uptime(), local: null, keeps: false },
  });
  const secret = { identity: 'enrol', key: new Uint8Array(32) };
  const link = new AgentLink(day, [{ address: '10.0.0.1', port: 1 }], hello(), hello, {
    secret: () => secret,
    cluster: () => 'lab',
    named() {},
    flash: async ({ deployment }) => ({ pointer: { ...POINTER, deployment }, former: null }),
    power: () => () => {},
    member: () => {
      throw new Error('no definitions in this test');
    },
  });
  link.keepIn(folder);
  void link.serve();
  for (let hour = 1; hour <= Number(hours); hour++) {
    for (let minute = 0; minute < 60; minute++) {
      await clock.run(clock.now + 60_000);
      link.report('minute', { hour, minute });
      if (minute % 5 === 0) imager.flash();
      // A restart of half a second each quarter of an hour, and five minutes away once an hour.
      if (minute % 15 !== 7) continue;
      imager.stop();
      await clock.run(clock.now + (minute === 7 ? 300_000 : 500));
      imager.up = true;
    }
    const resident = Number(
      /VmRSS:\s+(\d+)/.exec(new TextDecoder().decode(host.readFile('/proc/self/status')))?.[1],
    );
    host.print(JSON.stringify({ hour, resident, ...bw.memoryUsage(), ...imager.counts }));
  }
  host.exit(0);
});
