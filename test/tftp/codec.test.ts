import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodePacket,
  encodePacket,
  type Packet,
  type PacketFault,
  TftpPacketError,
  writeDataHeader,
} from '../../imager/tftp/codec.ts';

/** Bytes from a mix of numbers and ASCII text. */
function bytes(...parts: (number | string)[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) => (typeof part === 'string' ? [...Buffer.from(part)] : [part])),
  );
}

function faultOf(packet: Uint8Array): PacketFault | undefined {
  try {
    decodePacket(packet);
    return undefined;
  } catch (error) {
    if (error instanceof TftpPacketError) return error.reason;
    throw error;
  }
}

const golden: { name: string; bytes: Uint8Array; packet: Packet }[] = [
  {
    name: 'read request without options (RFC 1350 figure 5-1)',
    bytes: bytes(0, 1, 'kernel', 0, 'octet', 0),
    packet: { type: 'rrq', file: 'kernel', mode: 'octet', options: new Map() },
  },
  {
    name: "read request as U-Boot sends it: timeout, tsize, blksize, windowsize (RFC 2347 'opt1, value1')",
    bytes: bytes(
      ...[0, 1, 'arm/Image', 0, 'octet', 0, 'timeout', 0, '5', 0],
      ...['tsize', 0, '0', 0, 'blksize', 0, '1468', 0, 'windowsize', 0, '16', 0],
    ),
    packet: {
      type: 'rrq',
      file: 'arm/Image',
      mode: 'octet',
      options: new Map([
        ['timeout', '5'],
        ['tsize', '0'],
        ['blksize', '1468'],
        ['windowsize', '16'],
      ]),
    },
  },
  {
    name: 'write request',
    bytes: bytes(0, 2, 'dump', 0, 'netascii', 0),
    packet: { type: 'wrq', file: 'dump', mode: 'netascii', options: new Map() },
  },
  {
    name: 'data: opcode 3, block 0x1234 big-endian',
    bytes: bytes(0, 3, 0x12, 0x34, 'abc'),
    packet: { type: 'data', block: 0x1234, data: bytes('abc') },
  },
  { name: 'empty data', bytes: bytes(0, 3, 0, 2), packet: { type: 'data', block: 2, data: bytes() } },
  { name: 'ack', bytes: bytes(0, 4, 0xff, 0xfe), packet: { type: 'ack', block: 65534 } },
  {
    name: 'error: code 1 and text',
    bytes: bytes(0, 5, 0, 1, 'File not found', 0),
    packet: { type: 'error', code: 1, message: 'File not found' },
  },
  {
    name: 'option acknowledgement (RFC 2347)',
    bytes: bytes(0, 6, 'blksize', 0, '1468', 0, 'tsize', 0, '13631488', 0),
    packet: {
      type: 'oack',
      options: new Map([
        ['blksize', '1468'],
        ['tsize', '13631488'],
      ]),
    },
  },
];

describe('golden packets', () => {
  test.each(golden)('$name', ({ bytes: wire, packet }) => {
    expect(decodePacket(wire)).toEqual(packet);
    expect(encodePacket(packet)).toEqual(wire);
  });
});

describe('tolerated', () => {
  test('modes and option names in any case (RFC 1350 section 5, RFC 2347)', () => {
    const packet = decodePacket(bytes(0, 1, 'a', 0, 'OcTeT', 0, 'BlkSize', 0, '8', 0));
    expect(packet).toEqual({ type: 'rrq', file: 'a', mode: 'octet', options: new Map([['blksize', '8']]) });
  });
  test('NUL padding after the last string', () => {
    expect(decodePacket(bytes(0, 1, 'a', 0, 'octet', 0, 0, 0, 0))).toMatchObject({ options: new Map() });
  });
  test('an error text without its NUL, cut, control characters blanked', () => {
    const packet = decodePacket(bytes(0, 5, 0, 0, `\x1b[31m${'x'.repeat(2000)}`));
    expect(packet).toEqual({ type: 'error', code: 0, message: ` [31m${'x'.repeat(251)}` });
  });
  test('bytes after the number of an ACK', () => {
    expect(decodePacket(bytes(0, 4, 0, 7, 0, 0))).toEqual({ type: 'ack', block: 7 });
  });
});

describe('faults, each with its own reason', () => {
  const faults: [string, Uint8Array, PacketFault][] = [
    ['nothing', bytes(), 'short'],
    ['half an opcode', bytes(0), 'short'],
    ['an ACK without its block', bytes(0, 4, 0), 'short'],
    ['opcode 0', bytes(0, 0, 0, 0), 'opcode'],
    ['opcode 7', bytes(0, 7, 0, 0), 'opcode'],
    ['opcode 256: the high byte counts', bytes(1, 0, 0, 0), 'opcode'],
    ['a file name without end', bytes(0, 1, 'kernel'), 'unterminated'],
    ['a mode without end', bytes(0, 1, 'kernel', 0, 'octet'), 'unterminated'],
    ['an option without value', bytes(0, 1, 'k', 0, 'octet', 0, 'tsize', 0), 'unterminated'],
    ['an empty file name', bytes(0, 1, 0, 'octet', 0), 'file-name'],
    ['a file name with a line feed', bytes(0, 1, 'a\nb', 0, 'octet', 0), 'file-name'],
    ['a file name that is not UTF-8', bytes(0, 1, 0xff, 0, 'octet', 0), 'file-name'],
    ['an unknown mode', bytes(0, 1, 'k', 0, 'binary', 0), 'mode'],
    ['an option without name', bytes(0, 1, 'k', 0, 'octet', 0, 0, '5', 0), 'option-name'],
    [
      'an option given twice',
      bytes(0, 1, 'k', 0, 'octet', 0, 'tsize', 0, '0', 0, 'TSIZE', 0, '0', 0),
      'option-repeated',
    ],
    ['a request past its bound', bytes(0, 1, 'k'.repeat(1100), 0, 'octet', 0), 'long'],
    ['an OACK past it', bytes(0, 6, 'k'.repeat(1100), 0, '1', 0), 'long'],
  ];
  test.each(faults)('%s', (_name, wire, reason) => {
    expect(faultOf(wire)).toBe(reason);
  });
  test('a string to write that holds a NUL', () => {
    expect(() => encodePacket({ type: 'error', code: 0, message: 'a\0b' })).toThrow(TftpPacketError);
  });
});

test('block numbers wrap to 0 after 65535', () => {
  const header = new Uint8Array(4);
  writeDataHeader(header, 65535);
  expect([...header]).toEqual([0, 3, 0xff, 0xff]);
  writeDataHeader(header, 65536);
  expect([...header]).toEqual([0, 3, 0, 0]);
});

const name = fc
  .string({ minLength: 1, maxLength: 40, unit: 'grapheme' })
  .filter((text) => !/\p{Cc}/u.test(text));
const options = fc
  .array(fc.tuple(name, name), { maxLength: 6 })
  .map((pairs) => new Map(pairs.map(([key, value]) => [key.toLowerCase(), value])));
const block = fc.integer({ min: 0, max: 65535 });
const packets: fc.Arbitrary<Packet> = fc.oneof(
  fc.record({
    type: fc.constantFrom('rrq' as const, 'wrq' as const),
    file: name,
    mode: fc.constantFrom('octet' as const, 'netascii' as const, 'mail' as const),
    options,
  }),
  fc.record({
    type: fc.constant('data' as const),
    block,
    data: fc.uint8Array({ maxLength: 600, size: 'max' }),
  }),
  fc.record({ type: fc.constant('ack' as const), block }),
  fc.record({ type: fc.constant('error' as const), code: block, message: name }),
  fc.record({ type: fc.constant('oack' as const), options }),
);

describe('properties', () => {
  test('every packet reads back as it was written', () => {
    fc.assert(
      fc.property(packets, (packet) => {
        const wire = encodePacket(packet);
        fc.pre(wire.length <= 1024);
        expect(decodePacket(wire)).toEqual(packet);
      }),
      { numRuns: 500 },
    );
  });
  test('any bytes give a packet or a TftpPacketError', () => {
    const mutated = fc
      .tuple(packets, fc.uint8Array({ maxLength: 8 }), fc.nat())
      .map(([packet, noise, at]) => {
        const wire = encodePacket(packet);
        wire.set(noise.subarray(0, Math.max(0, wire.length - (at % wire.length))), at % wire.length);
        return wire.subarray(0, wire.length - (at % 5));
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 1200, size: 'max' }), mutated), (wire) => {
        faultOf(wire);
      }),
      { numRuns: 5000 },
    );
  });
});
