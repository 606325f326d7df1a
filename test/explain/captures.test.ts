/** Kept captures of real firmware, in every format they can come in. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readCapture } from '../../imager/explain/capture.ts';
import { explainCapture } from '../../imager/explain/explain.ts';
import { CaptureError } from '../../imager/explain/frame.ts';
import { cooked, cooked2, pcap, pcapng, tagged } from './write-capture.ts';

const FOLDER = resolve(import.meta.dirname, '../../fixtures/captures');
const NODE = '52:54:00:77:00:21';
const capture = (name: string) => new Uint8Array(readFileSync(join(FOLDER, `${name}.pcap`)));

const CAUSES: [string, string][] = [
  [
    'wrong-architecture',
    'wrong boot file for this firmware: x86-64 UEFI (arch 7) was told to load undionly.kpxe, which is no EFI program; it needs an .efi file for x86-64 UEFI',
  ],
  [
    'no-route',
    "no route to the TFTP server: 10.99.0.5 is not in the node's network 10.77.0.0/24, and no router was offered (option 3)",
  ],
  [
    'missing-file',
    'missing file: TFTP server 10.77.0.1 has no undionly.kpxe (TFTP error 1, "file /tmp/broken-widOUR/boot/undionly.kpxe not found for 10.77.0.132")',
  ],
  ['blocked-port', 'blocked port: TFTP server 10.77.0.1 answers nothing on UDP port 69'],
  [
    'second-server',
    "second DHCP server on the wire: 10.77.0.2 and 10.77.0.1 both give addresses, and the node took 10.77.0.2's",
  ],
];

test.each(CAUSES)('%s', (name, cause) => {
  const { clients, fault } = explainCapture(capture(name));
  expect(fault).toBeUndefined();
  expect(clients.map(({ who, cause: found }) => [who, found])).toEqual([[NODE, cause]]);
  expect(clients[0]!.evidence.join('\n')).toMatch(/packet \d+ \(\+\d+\.\d\d s\)/);
  expect(clients[0]!.advice).not.toEqual([]);
});

describe('the same boot in other clothes', () => {
  const [name, cause] = CAUSES[2]!;
  const { frames } = readCapture(capture(name));
  const clothes: [string, Uint8Array][] = [
    ['pcap, big-endian', pcap(frames, { little: false })],
    ['pcap, nanoseconds', pcap(frames, { little: true, nano: true })],
    ['pcap, big-endian nanoseconds', pcap(frames, { little: false, nano: true })],
    ['pcapng', pcapng(frames, { little: true })],
    ['pcapng, big-endian, nanoseconds', pcapng(frames, { little: false, resolution: 9 })],
    ['pcapng, powers of two', pcapng(frames, { little: true, resolution: 0x80 | 20 })],
    ['802.1Q', pcap(frames.map(tagged), { little: true })],
    ['Linux cooked', pcap(frames.map(cooked), { little: true, linkType: 113 })],
    ['Linux cooked v2', pcap(frames.map(cooked2), { little: true, linkType: 276 })],
  ];
  test.each(clothes)('%s', (_name, bytes) => {
    const read = readCapture(bytes);
    expect(read.fault).toBeUndefined();
    expect(read.frames.map(({ number }) => number)).toEqual(frames.map(({ number }) => number));
    for (const [i, { at }] of read.frames.entries()) expect(Math.abs(at - frames[i]!.at)).toBeLessThan(0.01);
    expect(explainCapture(bytes).clients.map((each) => [each.who, each.cause])).toEqual([[NODE, cause]]);
  });
});

describe('frames that are cut', () => {
  const cut = (name: string, kept: number) =>
    pcap(
      readCapture(capture(name)).frames.map((frame) => ({ ...frame, bytes: frame.bytes.subarray(0, kept) })),
      { little: true },
    );

  test.each(CAUSES.map(([name]) => name))('%s: no verdict but that', (name) => {
    for (const kept of [64, 96, 128, 256]) {
      const { clients } = explainCapture(cut(name, kept));
      expect(clients.map(({ who, cause }) => [who, cause])).toEqual([
        [NODE, `packets are cut at ${kept} bytes: capture again with -s 0`],
      ]);
      expect(clients[0]!.evidence).toEqual([
        expect.stringMatching(/^packet \d+ \(\+0\.00 s\) had \d{3} bytes/),
      ]);
    }
  });

  test('a piece of a datagram that cannot be put together', () => {
    const { frames } = readCapture(capture('missing-file'));
    const last = frames.at(-1)!;
    const fragment = Buffer.alloc(600);
    fragment.set([0x08, 0x00, 0x45, 0, 1500 >> 8, 1500 & 255, 0, 9, 0x20, 0, 64, 17], 12);
    fragment.set([10, 77, 0, 1, 10, 77, 0, 132], 26);
    const explained = (bytes: Uint8Array) =>
      explainCapture(pcap([...frames, { ...last, bytes }], { little: true })).clients.map(
        ({ cause }) => cause,
      );
    expect(explained(fragment)).toEqual(['packets are cut at 600 bytes: capture again with -s 0']);
    // Another's.
    fragment[33] = 133;
    expect(explained(fragment)).toEqual([CAUSES[2]![1]]);
  });

  test('in a boot before: nothing is known of the client', () => {
    const { frames } = readCapture(capture('missing-file'));
    const before = frames.map((each) => ({ ...each, bytes: each.bytes.subarray(0, 96) }));
    const later = frames.map((each) => ({ ...each, at: each.at + 600_000 }));
    const { clients } = explainCapture(pcap([...before, ...later], { little: true }));
    expect(clients.map(({ cause }) => cause)).toEqual([
      'packets are cut at 96 bytes: capture again with -s 0',
    ]);
  });

  test('behind what matters they are good', () =>
    expect(explainCapture(cut('missing-file', 600)).clients.map(({ cause }) => cause)).toEqual([
      CAUSES[2]![1],
    ]));
});

describe('what is no good capture', () => {
  const whole = capture('missing-file');

  test('cut anywhere: the packets before are good, and it is said', () => {
    const { frames } = readCapture(whole);
    fc.assert(
      fc.property(fc.integer({ min: 25, max: whole.length - 1 }), (length) => {
        const cut = readCapture(whole.subarray(0, length));
        expect(cut.frames).toEqual(frames.slice(0, cut.frames.length));
        expect(cut.fault === undefined).toBe(ends(frames, cut.frames.length) === length);
      }),
    );
  });

  test('pcapng cut anywhere', () => {
    const { frames } = readCapture(whole);
    const bytes = pcapng(frames, { little: true });
    fc.assert(
      fc.property(fc.integer({ min: 64, max: bytes.length - 1 }), (length) => {
        const cut = readCapture(bytes.subarray(0, length));
        expect(cut.frames.map(({ at }) => at)).toEqual(
          frames.slice(0, cut.frames.length).map(({ at }) => at),
        );
      }),
    );
  });

  test.each([
    ['empty', new Uint8Array(0)],
    ['text', new TextEncoder().encode('11:00:00.000 IP 10.0.0.1.67 > 255.255.255.255.68: BOOTP')],
    ['another version', whole.map((byte, i) => (i === 4 ? 3 : byte))],
  ])('%s', (_name, bytes) => expect(() => readCapture(bytes)).toThrow(CaptureError));

  test('a length that cannot be is damage', () => {
    const damaged = whole.slice();
    new DataView(damaged.buffer).setUint32(24 + 8, 0x7fffffff, true);
    expect(readCapture(damaged)).toEqual({ frames: [], fault: expect.stringContaining('2147483647') });
  });

  test('no bytes break it', () => {
    const seeds = CAUSES.map(([name]) => capture(name));
    const ng = pcapng(readCapture(whole).frames, { little: true });
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds, ng),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 40 }),
        (seed, changes) => {
          const bytes = seed.slice();
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          try {
            explainCapture(bytes);
          } catch (error) {
            if (!(error instanceof CaptureError)) throw error;
          }
        },
      ),
      { numRuns: 400 },
    );
  });
});

/** Where the first `count` records of a pcap file end. */
function ends(frames: readonly { bytes: Uint8Array }[], count: number): number {
  return frames.slice(0, count).reduce((at, { bytes }) => at + 16 + bytes.length, 24);
}
