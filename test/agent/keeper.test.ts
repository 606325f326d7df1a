/** The keeper of a disk: which imager it asks, before and after the disk is attached. */
import { describe, expect, it } from 'vitest';
import type { Connection, NbdAttachment } from '../../agent/linux/host.ts';
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
  readonly #disks: Record<string, number[]>;
  #losses: number;

  /** `disks`: sizes that an address offers, one a connection, no more where the list is at its end. */
  constructor(disks: Record<string, number[]>, losses: number) {
    super();
    this.#disks = disks;
    this.#losses = losses;
  }

  override async connect(address: string): Promise<never> {
    const size = this.#disks[address]?.shift();
    if (size === undefined) throw new Error('connection refused');
    this.log.push(`connect ${address}`);
    return nbdServer(size) as never;
  }

  override nbdAttach(_connection: Connection, { sizeBytes }: NbdAttachment): void {
    this.log.push(`attach ${sizeBytes}`);
  }

  override nbdReattach(_connection: Connection, { sizeBytes }: NbdAttachment): void {
    this.log.push(`reattach ${sizeBytes}`);
  }

  override async nbdLinkDead(): Promise<void> {
    if (this.#losses-- <= 0) throw new Over();
  }

  override async sleep(): Promise<void> {
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
      'bootwright: disk root: attached',
      'bootwright: disk root: connection lost',
      'bootwright: disk root: attached',
      expect.stringContaining('bootwright: disk root: imager b: '),
    ]);
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
