/** The pure parts of the hosts: netlink messages, mount options, lossy UTF-8, the tail of an output. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OutputTail } from '../../../agent/linux/output-tail.ts';
import { OUTPUT_BYTES } from '../../../agent/protocol/output.ts';
import { parseMountOptions } from '../../../agent/quickjs/mount-options.ts';
import {
  connectRequest,
  familyRequest,
  parseAcknowledgement,
  parseFamily,
  parseLinkDead,
  parseMessages,
  reconfigureRequest,
} from '../../../agent/quickjs/nbd-netlink.ts';
import { decodeLossy } from '../../../agent/quickjs/utf8.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'));
const DISK = { index: 2, sizeBytes: 0x1_0000_0000, blockSize: 1024, flags: 0x0d, deadTimeoutSeconds: 600 };

test('asking for the family: nlmsghdr, genlmsghdr, CTRL_ATTR_FAMILY_NAME', () => {
  expect(familyRequest(9, 'nbd')).toEqual(
    Uint8Array.from([
      ...hex('1c000000'), // 28 bytes
      ...hex('1000 0500'), // GENL_ID_CTRL, NLM_F_REQUEST | NLM_F_ACK
      ...hex('09000000 00000000'), // sequence, port of the kernel's choice
      ...hex('03 01 0000'), // CTRL_CMD_GETFAMILY, version
      ...hex('0800 0200 6e626400'), // 8 bytes, CTRL_ATTR_FAMILY_NAME, "nbd\0"
    ]),
  );
});

test('NBD_CMD_CONNECT', () => {
  expect(connectRequest(0x1b, 1, DISK, 7)).toEqual(
    Uint8Array.from([
      ...hex('68000000 1b00 0500 01000000 00000000'), // 104 bytes, family 27
      ...hex('01 01 0000'), // NBD_CMD_CONNECT
      ...hex('0800 0100 02000000'), // NBD_ATTR_INDEX
      ...hex('0c00 0200 0000000001000000'), // NBD_ATTR_SIZE_BYTES
      ...hex('0c00 0300 0004000000000000'), // NBD_ATTR_BLOCK_SIZE_BYTES
      ...hex('0c00 0400 0500000000000000'), // NBD_ATTR_TIMEOUT
      ...hex('0c00 0500 0d00000000000000'), // NBD_ATTR_SERVER_FLAGS
      ...hex('0c00 0800 5802000000000000'), // NBD_ATTR_DEAD_CONN_TIMEOUT
      ...hex('1000 0780'), // NBD_ATTR_SOCKETS, nested
      ...hex('0c00 0180'), // NBD_SOCK_ITEM, nested
      ...hex('0800 0100 07000000'), // NBD_SOCK_FD
    ]),
  );
});

test('NBD_CMD_RECONFIGURE says the size, which may have grown, and no flags: they stay', () => {
  expect(reconfigureRequest(0x1b, 1, DISK, 7)).toEqual(
    hex(`50000000 1b00 0500 01000000 00000000 03 01 0000 0800 0100 02000000
         0c00 0200 0000000001000000 0c00 0400 0500000000000000
         0c00 0800 5802000000000000 1000 0780 0c00 0180 0800 0100 07000000`),
  );
});

test("the controller's answer, and an acknowledgement after it", () => {
  const answer = hex(`
    54000000 1000 0000 09000000 00000000  01 02 0000
    0800 0200 6e626400  0600 0100 1b00 0000
    3000 0780 2c00 0180
      0800 0200 05000000
      1100 0100 6e62645f6d635f67726f757000 000000
  `);
  // Attribute lengths above: 0x30 and 0x2c reach past what is there; what is whole is taken.
  const length = new DataView(answer.buffer);
  length.setUint32(0, answer.length, true);
  length.setUint16(36, answer.length - 36, true);
  length.setUint16(40, answer.length - 40, true);
  const done = hex('24000000 0200 0001 09000000 00000000 00000000 1c000000 1000 0500 09000000 00000000');
  const messages = parseMessages(Uint8Array.from([...answer, ...done]));
  expect(messages.map(({ type, sequence }) => [type, sequence])).toEqual([
    [16, 9],
    [2, 9],
  ]);
  expect(parseFamily(messages[0]!)).toEqual({ id: 0x1b, groups: new Map([['nbd_mc_group', 5]]) });
  expect(parseFamily(messages[1]!)).toBeUndefined();
  expect(messages.map(parseAcknowledgement)).toEqual([undefined, 0]);
  const refused = parseMessages(hex('14000000 0200 0000 09000000 00000000 f0ffffff'));
  expect(refused.map(parseAcknowledgement)).toEqual([16]); // EBUSY
});

test('NBD_CMD_LINK_DEAD names the device; others are none', () => {
  const [dead] = parseMessages(hex('1c000000 1b00 0000 00000000 00000000 04 00 0000 0800 0100 02000000'));
  expect(parseLinkDead(0x1b, dead!)).toBe(2);
  expect(parseLinkDead(0x1c, dead!)).toBeUndefined();
  const [other] = parseMessages(hex('1c000000 1b00 0000 00000000 00000000 05 00 0000 0800 0100 02000000'));
  expect(parseLinkDead(0x1b, other!)).toBeUndefined();
});

test('no datagram makes the parsers fail or run on', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200, size: 'max' }), fc.nat(40), (noise, length) => {
      if (noise.length > 0) noise[0] = length;
      noise.fill(0, 1, 4);
      for (const message of parseMessages(noise)) {
        parseFamily({ ...message, type: 16 });
        parseLinkDead(message.type, message);
        parseAcknowledgement(message);
      }
    }),
  );
});

test.each([
  ['', 0, ''],
  ['defaults,rw', 0, ''],
  ['ro,noatime', 0x401, ''],
  ['nosuid,nodev,noexec,mode=755', 0xe, 'mode=755'],
  ['remount,ro,data=ordered,barrier', 0x21, 'data=ordered,barrier'],
  ['rbind', 0x5000, ''],
])('mount options %j', (options, flags, data) => {
  expect(parseMountOptions(options)).toEqual({ flags, data });
});

test('faulty UTF-8 decodes as the Encoding Standard says', () => {
  const pieces = fc.oneof(
    fc.uint8Array({ maxLength: 4, size: 'max' }),
    fc.string({ unit: 'binary', maxLength: 3 }).map((text) => new TextEncoder().encode(text)),
    fc.constantFrom('e2 82', 'f0 9f 98', 'ed a0 80', 'c0 af', 'f4 90 80 80', 'f0 9f 98 80', 'e0 80').map(hex),
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
      const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
      expect(decodeLossy(bytes)).toBe(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
    }),
    { numRuns: 500 },
  );
});

test('the tail of an output is its last 64 KiB, from a whole character on', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(40_000), { maxLength: 12 }),
      fc.constantFrom('a', 'é', '€', '😀'),
      (sizes, letter) => {
        const size = Buffer.byteLength(letter);
        const total = sizes.reduce((sum, each) => sum + each, 0);
        const all = Buffer.from(letter.repeat(Math.ceil(total / size)));
        const tail = new OutputTail();
        let at = 0;
        for (const each of sizes) {
          tail.push(all.subarray(at, at + each));
          at += each;
        }
        const text = tail.text();
        const whole = all.subarray(0, at).toString();
        if (at <= OUTPUT_BYTES) expect(text).toBe(whole);
        else expect(text.length).toBeGreaterThan((OUTPUT_BYTES / size - 2) * letter.length);
        expect(text.startsWith(letter) || at === 0 || at < size).toBe(true);
        expect(whole.endsWith(text)).toBe(true);
      },
    ),
  );
});
