import { describe, expect, test } from 'vitest';
import { decodeReply, encodeRequest } from '../../firmware-stubs/simulated/dhcp-wire.ts';
import { SimulatedFirmware, TFTP_WAIT_MS } from '../../firmware-stubs/simulated/firmware.ts';
import { decodeMessage } from '../../imager/dhcp/codec.ts';
import { decodePacket, encodePacket, type Packet } from '../../imager/tftp/codec.ts';

const MAC = Uint8Array.of(0x52, 0x54, 0, 0x77, 0, 1);
const XID = 0x1234_5678;
const SERVER = '10.77.0.1';
const BOOTP_FILE = 108;

/** A reply as RFC 2131 figure 1 lays it out, made by hand. */
function reply(type: number, changes: { xid?: number; mac?: Uint8Array; file?: string } = {}): Uint8Array {
  const { xid = XID, mac = MAC, file = 'boot/rom' } = changes;
  const bytes = new Uint8Array(300);
  bytes.set([2, 1, 6, 0, xid >>> 24, (xid >> 16) & 255, (xid >> 8) & 255, xid & 255]);
  bytes.set([10, 77, 0, 11], 16);
  bytes.set([10, 77, 0, 1], 20);
  bytes.set(mac, 28);
  bytes.set(Buffer.from(file), BOOTP_FILE);
  bytes.set([99, 130, 83, 99, 53, 1, type, 54, 4, 10, 77, 0, 1, 255], 236);
  return bytes;
}

/** A machine whose clock is turned by hand; what it sends is read with the imager's codecs. */
class Bench {
  now = 0;
  dhcp: Uint8Array[] = [];
  tftp: { packet: Packet; port: number }[] = [];
  stored = Buffer.alloc(0);
  addresses: string[] = [];
  readonly rom: SimulatedFirmware;
  constructor(windowsize = 1) {
    this.rom = new SimulatedFirmware({
      identity: { mac: MAC, uuid: new Uint8Array(16).fill(7), arch: 0 },
      xid: XID,
      wishes: { blksize: 1024, windowsize },
      port: {
        now: () => this.now,
        sendDhcp: (bytes) => this.dhcp.push(bytes),
        sendTftp: (bytes, { port }) => this.tftp.push({ packet: decodePacket(bytes), port }),
        beginTransfer: (address) => this.addresses.push(address),
        store: (data, offset) => {
          expect(offset).toBe(this.stored.length);
          this.stored = Buffer.concat([this.stored, data]);
        },
      },
    });
    this.rom.powerOn();
  }
  types(): (number | undefined)[] {
    return this.dhcp.map((bytes) => decodeMessage(bytes).options.get(53)?.[0]);
  }
  /** Lets the time it asked for pass. */
  wait(): number {
    const before = this.now;
    this.now = this.rom.wakeAt;
    this.rom.onTime();
    return this.now - before;
  }
  /** As far as the transfer, whose OACK is on the way. */
  loading(): void {
    this.rom.onDhcp(reply(2));
    this.rom.onDhcp(reply(5));
    this.hear({ type: 'oack', options: new Map([['tsize', '9']]) }, 2000);
    this.tftp = [];
  }
  hear(packet: Packet, port = 3000): void {
    this.rom.onTftp(encodePacket(packet), { address: SERVER, port });
  }
  data(block: number, length = 1024): void {
    this.hear({ type: 'data', block, data: new Uint8Array(length).fill(block) });
  }
  sent(): string[] {
    return this.tftp
      .splice(0)
      .map(({ packet }) => (packet.type === 'ack' ? `ack ${packet.block}` : packet.type));
  }
}

describe('DHCP', () => {
  test('DISCOVER as RFC 2131 and RFC 4578 lay it out', () => {
    const bytes = encodeRequest({ mac: MAC, uuid: new Uint8Array(16), arch: 7 }, { xid: XID, seconds: 4 });
    expect([...bytes.subarray(0, 12)]).toEqual([1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78, 0, 4, 0x80, 0]);
    expect([...bytes.subarray(28, 34)]).toEqual([...MAC]);
    expect([...bytes.subarray(236, 243)]).toEqual([99, 130, 83, 99, 53, 1, 1]);
    const text = Buffer.from(bytes).toString('latin1');
    expect(text).toContain('\x3c\x20PXEClient:Arch:00007:UNDI:003016');
    expect(text).toContain('\x5d\x02\x00\x07');
    expect(bytes.at(-1)).toBe(255);
  });

  test('asks at 0, 4, 12 and 28 s, and gives up after 60', () => {
    const bench = new Bench();
    expect([bench.wait(), bench.wait(), bench.wait(), bench.wait()]).toEqual([4000, 8000, 16_000, 32_000]);
    expect(bench.types()).toEqual([1, 1, 1, 1]);
    expect(bench.dhcp.map((bytes) => decodeMessage(bytes).secs)).toEqual([0, 4, 12, 28]);
    expect(bench.rom.phase).toEqual({ name: 'failed', why: 'no offer with a boot file' });
    expect(bench.rom.wakeAt).toBe(Number.POSITIVE_INFINITY);
  });

  test('takes the first offer that has a boot file, of its own xid and MAC', () => {
    const bench = new Bench();
    bench.rom.onDhcp(reply(2, { xid: XID + 1 }));
    bench.rom.onDhcp(reply(2, { mac: new Uint8Array(6) }));
    bench.rom.onDhcp(reply(2, { file: '' }));
    expect(bench.types()).toEqual([1]);
    bench.rom.onDhcp(reply(2));
    expect(bench.types()).toEqual([1, 3]);
    const request = decodeMessage(bench.dhcp[1]!).options;
    expect([...request.get(50)!]).toEqual([10, 77, 0, 11]);
    expect([...request.get(54)!]).toEqual([10, 77, 0, 1]);
  });

  test('the boot server is siaddr, where that is zero the DHCP server; option 66 is not read', () => {
    const named = Buffer.from('10.77.0.9');
    const options = (bytes: Uint8Array) => {
      bytes.set([66, named.length, ...named, 255], 249);
      return bytes;
    };
    expect(decodeReply(options(reply(2)))?.nextServer).toBe('10.77.0.1');
    const without = options(reply(2));
    without.fill(0, 20, 24);
    without[248] = 3;
    expect(decodeReply(without)?.nextServer).toBe('10.77.0.3');
  });

  test('a NAK sends it back to the beginning', () => {
    const bench = new Bench();
    bench.rom.onDhcp(reply(2));
    bench.rom.onDhcp(reply(6));
    expect(bench.types()).toEqual([1, 3, 1]);
  });

  test('no bytes are too short or too odd to be let pass', () => {
    for (let length = 0; length < 260; length++)
      expect(() => decodeReply(reply(2).subarray(0, length))).not.toThrow();
    const bytes = reply(2);
    bytes[244] = 255; // option 54 past the end
    expect(decodeReply(bytes)).toBeUndefined();
  });
});

describe('TFTP', () => {
  test('asks for the size, declines, and asks again from another port', () => {
    const bench = new Bench();
    bench.rom.onDhcp(reply(2));
    bench.rom.onDhcp(reply(5));
    bench.hear({ type: 'oack', options: new Map([['tsize', '9']]) }, 2000);
    expect(bench.addresses).toEqual(['10.77.0.11', '10.77.0.11']);
    expect(bench.tftp).toMatchObject([
      {
        port: 69,
        packet: {
          type: 'rrq',
          file: 'boot/rom',
          options: new Map([
            ['tsize', '0'],
            ['blksize', '1024'],
          ]),
        },
      },
      { port: 2000, packet: { type: 'error', code: 8 } },
      { port: 69, packet: { type: 'rrq' } },
    ]);
  });

  test('lockstep with what the server agreed to', () => {
    const bench = new Bench();
    bench.loading();
    bench.hear({ type: 'oack', options: new Map([['blksize', '1024']]) });
    bench.data(1);
    bench.data(1);
    bench.data(2, 10);
    expect(bench.sent()).toEqual(['ack 0', 'ack 1', 'ack 1', 'ack 2']);
    expect(bench.rom.phase).toEqual({ name: 'booted', bytes: 1034 });
  });

  test('windows: an ACK at the end of each, one complaint for each gap (RFC 7440 section 4)', () => {
    const bench = new Bench(4);
    bench.loading();
    const options = new Map([
      ['blksize', '1024'],
      ['windowsize', '4'],
    ]);
    bench.hear({ type: 'oack', options });
    for (const block of [1, 2, 4, 5, 3, 4, 5, 6, 8, 9, 6]) bench.data(block);
    // The first of a window may be missing too; what comes once more is answered once more.
    expect(bench.sent()).toEqual(['ack 0', 'ack 2', 'ack 6', 'ack 6', 'ack 6']);
    bench.data(7, 0);
    expect(bench.sent()).toEqual(['ack 7']);
    expect(bench.stored.length).toBe(6 * 1024);
  });

  test('the latest packet again each 4 s, six times at most', () => {
    const bench = new Bench();
    bench.loading();
    bench.hear({ type: 'oack', options: new Map([['blksize', '1024']]) });
    bench.data(1);
    bench.sent();
    for (let tries = 1; tries < 6; tries++) expect(bench.wait()).toBe(TFTP_WAIT_MS);
    expect(bench.sent()).toEqual(['ack 1', 'ack 1', 'ack 1', 'ack 1', 'ack 1']);
    bench.wait();
    expect(bench.rom.phase).toEqual({ name: 'failed', why: 'TFTP time-out after block 1' });
  });

  test('other ports and other servers are not heard; an error ends it', () => {
    const bench = new Bench();
    bench.loading();
    bench.hear({ type: 'oack', options: new Map([['blksize', '1024']]) });
    bench.hear({ type: 'error', code: 1, message: 'stranger' }, 3001);
    bench.rom.onTftp(encodePacket({ type: 'error', code: 1, message: 'x' }), {
      address: '10.0.0.9',
      port: 3000,
    });
    expect(bench.rom.phase.name).toBe('load');
    bench.hear({ type: 'error', code: 1, message: 'file not found' });
    expect(bench.rom.phase).toEqual({ name: 'failed', why: 'TFTP error 1: file not found' });
  });
});
