/** Capture files: pcap and pcapng, frames down to DHCP, TFTP and HTTP, and the explanation of the whole. */
import { encodeMessage } from '../../../imager/dhcp/codec.ts';
import { readCapture } from '../../../imager/explain/capture.ts';
import { explainCapture } from '../../../imager/explain/explain.ts';
import { CaptureError } from '../../../imager/explain/frame.ts';
import { observeCapture } from '../../../imager/explain/from-capture.ts';
import { encodePacket } from '../../../imager/tftp/codec.ts';
import { request, text } from '../../dhcp/fakes.ts';
import { promise, refusable, type Target } from '../target.ts';

const CLIENT = [0x52, 0x54, 0, 0, 0, 1];
const HERE = [10, 77, 0, 11];
const THERE = [10, 77, 0, 1];
const NOBODY = [0, 0, 0, 0];
const EXPLAINED_ONCE_IN = 32;

export function captureTarget(): Target {
  const boot = [
    ethernet(0x0806, [0, 1, 8, 0, 6, 4, 0, 1, ...CLIENT, ...HERE, 0, 0, 0, 0, 0, 0, ...THERE]),
    udp(
      NOBODY,
      [255, 255, 255, 255],
      68,
      67,
      encodeMessage(request('discover', {}, { 93: Uint8Array.of(0, 7), 60: text('PXEClient:Arch:00007') }))
        .bytes,
    ),
    udp(
      THERE,
      HERE,
      67,
      68,
      encodeMessage({
        ...request(
          'discover',
          { yiaddr: '10.77.0.11', siaddr: '10.77.0.1', file: 'ipxe.efi' },
          { 53: Uint8Array.of(5), 54: Uint8Array.from(THERE), 1: Uint8Array.of(255, 255, 255, 0) },
        ),
        op: 'reply',
      }).bytes,
    ),
  ];
  const tftp = [
    udp(
      HERE,
      THERE,
      2000,
      69,
      encodePacket({ type: 'rrq', file: 'ipxe.efi', mode: 'octet', options: new Map([['blksize', '1468']]) }),
    ),
    udp(
      THERE,
      HERE,
      3000,
      2000,
      encodePacket({
        type: 'oack',
        options: new Map([
          ['blksize', '1468'],
          ['tsize', '9'],
        ]),
      }),
    ),
    udp(THERE, HERE, 3000, 2000, encodePacket({ type: 'data', block: 1, data: text('MZ') })),
    udp(HERE, THERE, 2000, 3000, encodePacket({ type: 'ack', block: 1 })),
    udp(THERE, HERE, 3000, 2000, encodePacket({ type: 'error', code: 1, message: 'no such file' })),
    icmp([3, 3, 0, 0, 0, 0, 0, 0, ...ip(THERE, HERE, 17, [0, 69, 7, 208, 0, 8, 0, 0])]),
  ];
  const http = [
    tcp(HERE, THERE, 4000, 80, 2, 0, ''),
    tcp(THERE, HERE, 80, 4000, 18, 0, ''),
    tcp(HERE, THERE, 4000, 80, 24, 1, 'GET /boot.ipxe HTTP/1.1\r\nHost: x\r\n\r\n'),
    tcp(THERE, HERE, 80, 4000, 24, 1, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n#!ipx'),
    tcp(THERE, HERE, 10809, 4001, 18, 0, ''),
  ];
  const tagged = boot.map((frame) => [...frame.slice(0, 12), 0x81, 0, 0, 5, ...frame.slice(12)]);
  const pieces = fragments(HERE, THERE, [
    7,
    208,
    0,
    69,
    0,
    40,
    0,
    0,
    ...encodePacket({ type: 'rrq', file: 'a-long-name', mode: 'octet', options: new Map() }),
    ...Array(9).fill(0),
  ]);
  let turn = 0;
  return {
    seeds: [
      pcap(boot.slice(0, 2)),
      pcapng(tagged.slice(2)),
      pcap(tftp.slice(0, 3)),
      pcap(tftp.slice(3)),
      pcap(http.slice(0, 3)),
      pcapng(http.slice(3)),
      pcapng(pieces),
      pcap([[0, 0, 0, 1, 0, 6, ...CLIENT, 0, 0, 8, 0, ...tftp[0]!.slice(14)]], 113),
    ],
    tokens: [
      '00000000',
      'ffffffff',
      '0a0d0d0a',
      '1a2b3c4d',
      '01000000',
      '06000000',
      '09000100ff',
      '8100',
      '0800',
      '0806',
      '4500',
    ].map((hex) => Buffer.from(hex, 'hex')),
    maxLength: 8192,
    take: (bytes) =>
      refusable(CaptureError, () => {
        if (turn++ % EXPLAINED_ONCE_IN === 0) {
          const { clients } = explainCapture(bytes);
          promise(
            clients.every(({ who, course }) => who !== '' && Array.isArray(course)),
            'every client has a course',
          );
          return;
        }
        const { frames, fault } = readCapture(bytes);
        promise(fault !== '' && frames.length <= bytes.length / 16, `${frames.length} frames`);
        for (const frame of frames)
          promise(frame.bytes.length < bytes.length && Number.isFinite(frame.at), 'frames are of the file');
        for (const { observations } of observeCapture(frames))
          promise(observations.length <= frames.length + 1, 'no more observations than frames');
      }),
  };
}

const two = (value: number) => [(value >> 8) & 255, value & 255];

function ethernet(type: number, payload: Iterable<number>): number[] {
  return [255, 255, 255, 255, 255, 255, ...CLIENT, ...two(type), ...payload];
}

function ip(from: number[], to: number[], protocol: number, payload: number[], fragment = 0): number[] {
  return [
    0x45,
    0,
    ...two(20 + payload.length),
    0,
    7,
    ...two(fragment),
    64,
    protocol,
    0,
    0,
    ...from,
    ...to,
    ...payload,
  ];
}

function udp(from: number[], to: number[], source: number, port: number, payload: Uint8Array): number[] {
  const head = [...two(source), ...two(port), ...two(8 + payload.length), 0, 0];
  return ethernet(0x0800, ip(from, to, 17, [...head, ...payload]));
}

function tcp(
  from: number[],
  to: number[],
  source: number,
  port: number,
  flags: number,
  sequence: number,
  payload: string,
): number[] {
  const head = [
    ...two(source),
    ...two(port),
    0,
    0,
    ...two(sequence),
    0,
    0,
    0,
    1,
    0x50,
    flags,
    16,
    0,
    0,
    0,
    0,
    0,
  ];
  return ethernet(0x0800, ip(from, to, 6, [...head, ...Buffer.from(payload)]));
}

function icmp(payload: number[]): number[] {
  return ethernet(0x0800, ip(HERE, THERE, 1, payload));
}

/** One UDP datagram in two pieces, the second first. */
function fragments(from: number[], to: number[], datagram: number[]): number[][] {
  return [
    ethernet(0x0800, ip(from, to, 17, datagram.slice(24), 3)),
    ethernet(0x0800, ip(from, to, 17, datagram.slice(0, 24), 0x2000)),
  ];
}

function pcap(frames: readonly number[][], linkType = 1): Uint8Array {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65535, 16);
  head.writeUInt32LE(linkType, 20);
  const records = frames.map((frame, index) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(1_700_000_000 + index, 0);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return Buffer.concat([record, Uint8Array.from(frame)]);
  });
  return Buffer.concat([head, ...records]);
}

function pcapng(frames: readonly number[][]): Uint8Array {
  const block = (type: number, body: Uint8Array): Buffer => {
    const padded = Buffer.concat([body, Buffer.alloc(-body.length & 3)]);
    const bytes = Buffer.alloc(12 + padded.length);
    bytes.writeUInt32LE(type, 0);
    bytes.writeUInt32LE(bytes.length, 4);
    padded.copy(bytes, 8);
    bytes.writeUInt32LE(bytes.length, bytes.length - 4);
    return bytes;
  };
  const section = Buffer.from('4d3c2b1a01000000ffffffffffffffff', 'hex');
  const face = Buffer.from('0100000000000000090001000900000000000000', 'hex');
  const packets = frames.map((frame, index) => {
    const head = Buffer.alloc(20);
    head.writeUInt32LE(400_000_000, 4);
    head.writeUInt32LE(index * 1_000_000, 8);
    head.writeUInt32LE(frame.length, 12);
    head.writeUInt32LE(frame.length, 16);
    return block(6, Buffer.concat([head, Uint8Array.from(frame)]));
  });
  return Buffer.concat([block(0x0a0d0d0a, section), block(1, face), ...packets]);
}
