/** The keeper of a disk: which imager it asks, before and after the disk is attached. */
import { describe, expect, it } from 'vitest';
import type { Connection, DiskPack, NbdAttachment } from '../../agent/linux/host.ts';
import { keepDisk, keeperArguments } from '../../agent/linux/keeper.ts';
import { QuietHost } from '../fakes/quiet-host.ts';

/** The server's side of a fixed newstyle negotiation that grants a disk of so many bytes (NBD protocol). */
function nbdServer(size: number): Connection {
  const greeting = Buffer.from('4e42444d41474943 49484156454f5054 0003'.replaceAll(' ', ''), 'hex');
  const reply = (type: number, data: Buffer) => {
    const head = Buffer.from(
      `0003e889045565a9 00000007 ${type.toString(16).padStart(8, '0')}`.replaceAll(' ', ''),
      'hex',
    );
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    return Buffer.concat([head, length, data]);
  };
  const info = Buffer.alloc(12);
  info.writeBigUInt64BE(BigInt(size), 2);
  info.writeUInt16BE(1, 10);
  const says = [greeting, Buffer.concat([reply(3, info), reply(1, Buffer.alloc(0))])];
  return { write: async () => {}, read: async () => says.shift(), close() {} };
}

/** Ends the keeper's endless loop, and the test with it. */
class Over extends Error {}

class KeeperHost extends QuietHost {
  readonly log: string[] = [];
  /** Milliseconds, since a disk was attached last. */
  slept: number[] = [];
  readonly #disks: Record<string, number[]>;
  /** What the imagers answer to a request for a pack. */
  readonly #answer: string | undefined;
  #losses: number;

  /** `disks`: sizes that an address offers, one a connection, no more where the list is at its end. */
  constructor(disks: Record<string, number[]>, losses: number, answer?: string) {
    super();
    this.#answer = answer;
    this.#disks = disks;
    this.#losses = losses;
  }

  override async connect(address: string, port: number): Promise<never> {
    if (port === 80) return this.#http() as never;
    const size = this.#disks[address]?.shift();
    if (size === undefined) throw new Error('connection refused');
    this.log.push(`connect ${address}`);
    return nbdServer(size) as never;
  }

  #http(): Connection {
    if (this.#answer === undefined) throw new Error('no web server');
    const says = [this.#answer.slice(0, 7), this.#answer.slice(7)].map((text) => Buffer.from(text, 'latin1'));
    return {
      write: async (bytes) => void this.log.push(Buffer.from(bytes).toString().split('\r\n')[0]!),
      read: async () => says.shift(),
      close: () => void this.log.push('close'),
    };
  }

  /** Why it cannot be one. */
  flusherFault: Error | undefined;
  /** What had been done before it became one. */
  before: string[] | undefined;

  override becomeIoFlusher(): void {
    this.before = [...this.log];
    if (this.flusherFault !== undefined) throw this.flusherFault;
  }

  override nbdAttachPacked(_connection: Connection, _to: NbdAttachment, { name, bytes }: DiskPack) {
    this.log.push(`attach ${name} with ${bytes.length}`);
    return this.refusal;
  }

  /** Why the relay is not to be had. */
  refusal: string | undefined;

  override nbdAttach(_connection: Connection, { sizeBytes }: NbdAttachment): void {
    this.log.push(`attach ${sizeBytes}`);
  }

  override nbdReattach(_connection: Connection, { sizeBytes }: NbdAttachment): void {
    this.log.push(`reattach ${sizeBytes}`);
  }

  override async nbdLinkDead(): Promise<void> {
    this.slept = [];
    this.#now += this.lasts;
    if (this.#losses-- <= 0) throw new Over();
  }

  /** Seconds that have passed; they pass while it sleeps alone, and while a disk is attached. */
  #now = 0;
  /** For how long disks stay attached. */
  lasts = 60;

  override uptime(): number {
    return this.#now;
  }

  override async sleep(milliseconds: number): Promise<void> {
    this.slept.push(milliseconds);
    this.#now += milliseconds / 1000;
    if (this.slept.length > 1000) throw new Over();
    if (this.log.length > 20 || this.#losses < 0) throw new Over();
  }
}

async function keep(host: KeeperHost, imagers: string[]): Promise<void> {
  const [, ...args] = keeperArguments({ index: 0, name: 'root', imagers });
  await expect(keepDisk(host, args)).rejects.toThrow(Over);
}

describe('the keeper', () => {
  it('takes the first imager that has the disk, and comes back to that one alone', async () => {
    const host = new KeeperHost({ b: [4096, 4096], c: [4096, 4096] }, 1);
    await keep(host, ['a', 'b', 'c']);
    expect(host.log).toEqual(['connect b', 'attach 4096', 'connect b', 'reattach 4096']);
    expect(host.console).toEqual([
      'bootwright: disk root: imager a: connection refused',
      'bootwright: disk root: no pack: no web server',
      'bootwright: disk root: attached',
      'bootwright: disk root: connection lost',
      'bootwright: disk root: attached',
      expect.stringContaining('bootwright: disk root: imager b: '),
    ]);
  });

  it('depends on no disk for its memory before it connects, and says where it does', async () => {
    const host = new KeeperHost({ a: [4096] }, 0);
    await keep(host, ['a']);
    expect(host.before).toEqual([]);
    expect(host.console[0]).not.toContain('memory');

    const denied = new KeeperHost({ a: [4096] }, 0);
    denied.flusherFault = new Error('prctl PR_SET_IO_FLUSHER: Operation not permitted');
    await keep(denied, ['a']);
    expect(denied.log).toContain('attach 4096');
    expect(denied.console[0]).toBe(
      'bootwright: disk root: its keeper may suffer where memory is short: prctl PR_SET_IO_FLUSHER: Operation not permitted',
    );
  });

  it('reattaches a disk that has grown, and never one that has shrunk', async () => {
    const host = new KeeperHost({ a: [8192, 4096, 12_288] }, 1);
    await keep(host, ['a']);
    expect(host.log).toEqual(['connect a', 'attach 8192', 'connect a', 'connect a', 'reattach 12288']);
    expect(host.console).toContain(
      'bootwright: disk root: imager a: the disk has 4096 bytes now, it had 8192',
    );
  });
});

describe('an imager that is away', () => {
  /** How long the keeper sleeps from attempt to attempt, the dice at their largest. */
  async function away(lasts: number, attachments: number): Promise<number[]> {
    const host = new KeeperHost({ a: new Array<number>(attachments).fill(4096) }, 1000);
    host.lasts = lasts;
    host.random = () => 1 - 2 ** -53;
    await keep(host, ['a']);
    return host.slept;
  }

  it('is looked for at once, ever less often, and every five seconds at last', async () => {
    const slept = await away(60, 2);
    expect(slept.slice(0, 4).map(Math.round)).toEqual([100, 100, 200, 400]);
    expect(slept.slice(10).every((each) => Math.round(each) === 5000)).toBe(true);
  });

  it('is away still where what it gives breaks at once, but not where that broke for the first time', async () => {
    expect(Math.round((await away(0.05, 1))[0]!)).toBe(100);
    expect((await away(0.05, 9))[0]).toBeGreaterThan(3000);
  });
});

describe('the pack of a disk', () => {
  const base = 'ab'.repeat(32);
  /** A header with this base, and a byte more where it is to have something in it. */
  const pack = (digest = base, more = '!') =>
    `${'\0'.repeat(24)}${Buffer.from(digest, 'hex').toString('latin1')}${'\0'.repeat(12)}${more}`;
  const answer = (body: string, fields = `ETag: "${base}-1"\r\n`, status = '200 OK') =>
    `HTTP/1.1 ${status}\r\ncontent-length: ${body.length}\r\n${fields}\r\n${body}`;

  it('is fetched from the imager that has the disk, once, and taken along', async () => {
    const host = new KeeperHost({ b: [4096, 4096] }, 1, answer(pack()));
    await keep(host, ['a', 'b']);
    expect(host.log).toEqual([
      'connect b',
      'GET /packs/root HTTP/1.1',
      'close',
      'attach root with 69',
      'connect b',
      'reattach 4096',
    ]);
    expect(host.console).toContain('bootwright: disk root: a pack of 69 bytes');
  });

  it.each([
    ['of another base', answer(pack('cd'.repeat(32))), 'the pack is of another base image'],
    ['without a word of the base', answer(pack(), ''), 'the pack is of another base image'],
    ['an imager without packs', answer('{}', '', '404 Not Found'), 'HTTP/1.1 404 Not Found'],
    ['cut off', answer(pack()).slice(0, -1), 'answer is cut off'],
    ['longer than it says', `${answer(pack())}x`, 'answer is longer than it said'],
    ['no HTTP', 'hello', 'answer is cut off'],
    ['an endless head', 'x'.repeat(70_000), 'answer without an end of its head'],
    ['without a length', 'HTTP/1.1 200 OK\r\n\r\n', 'answer without a length that a pack can have'],
    [
      'too large',
      'HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n',
      'a pack of 99999999 bytes is too large',
    ],
  ])('%s: the disk is attached as without', async (_what, text, why) => {
    const host = new KeeperHost({ a: [4096] }, 0, text);
    await keep(host, ['a']);
    expect(host.log).toEqual(['connect a', 'GET /packs/root HTTP/1.1', 'close', 'attach 4096']);
    expect(host.console[0]).toContain(`bootwright: disk root: no pack: ${why}`);
  });

  it('with nothing in it is no pack, and no word is lost on it', async () => {
    const host = new KeeperHost({ a: [4096] }, 0, answer(pack(base, '')));
    await keep(host, ['a']);
    expect(host.log.at(-1)).toBe('attach 4096');
    expect(host.console.filter((line) => /pack/.test(line))).toEqual([]);
  });

  it('that the relay does not take is done without', async () => {
    const host = new KeeperHost({ a: [4096] }, 0, answer(pack()));
    host.refusal = 'damaged';
    await keep(host, ['a']);
    expect(host.log.slice(-2)).toEqual(['attach root with 69', 'attach 4096']);
    expect(host.console[0]).toBe('bootwright: disk root: no pack: damaged');
  });
});
