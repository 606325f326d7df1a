/** TFTP: packet, option negotiation, packet again, and what netascii makes of its bytes. */
import { memoryFile } from '../../../imager/images/boot-files.ts';
import {
  decodePacket,
  encodePacket,
  MAX_REQUEST,
  type Packet,
  TftpPacketError,
} from '../../../imager/tftp/codec.ts';
import { DEFAULT_LIMITS, negotiate } from '../../../imager/tftp/options.ts';
import { netascii } from '../../../imager/tftp/source.ts';
import { promise, refusable, type Target } from '../target.ts';

const text = (value: string) => new TextEncoder().encode(value);
const OPTIONS = new Map([
  ['blksize', '1468'],
  ['tsize', '0'],
  ['timeout', '3'],
  ['windowsize', '64'],
]);
const PACKETS: Packet[] = [
  { type: 'rrq', file: 'images/debian-12/kernel', mode: 'octet', options: OPTIONS },
  { type: 'rrq', file: '/pxelinux.cfg/01-52-54-00-77-00-11', mode: 'netascii', options: new Map() },
  { type: 'rrq', file: 'ipxe\\snponly.efi', mode: 'octet', options: new Map([['tsize', '0']]) },
  { type: 'wrq', file: 'core', mode: 'mail', options: new Map([['multicast', '']]) },
  { type: 'data', block: 65535, data: text('line\r\nline\n\rend') },
  { type: 'ack', block: 7 },
  { type: 'error', code: 8, message: 'no such option' },
  { type: 'oack', options: OPTIONS },
];
/** A file of so many bytes is asked for. */
const FILE_BYTES = 8_388_608;
const CONVERTED_ONCE_IN = 64;

export function tftpTarget(): Target {
  let taken = 0;
  return {
    seeds: PACKETS.map(encodePacket),
    tokens: [
      'octet\0',
      'blksize\0',
      'windowsize\0',
      'timeout\0',
      '4294967296\0',
      '65464\0',
      '0\0',
      '../',
      '\0',
    ].map(text),
    maxLength: 65_507,
    take(bytes) {
      taken++;
      return taken % CONVERTED_ONCE_IN === 0 ? converted(bytes).then(() => decoded(bytes)) : decoded(bytes);
    },
  };
}

function decoded(bytes: Uint8Array): boolean {
  return refusable(TftpPacketError, () => {
    const packet = decodePacket(bytes);
    promise(same(packet, decodePacket(encodePacket(packet))), 'a packet encoded is the packet decoded');
    if (packet.type !== 'rrq' && packet.type !== 'wrq') return;
    promise(bytes.length <= MAX_REQUEST, 'requests are short');
    const agreement = negotiate(packet, FILE_BYTES, DEFAULT_LIMITS);
    if ('refused' in agreement) return;
    const { blksize, windowsize, timeoutMs = 1000, reply } = agreement;
    promise(blksize >= 8 && blksize <= DEFAULT_LIMITS.maxBlksize, `blksize ${blksize}`);
    promise(windowsize >= 1 && windowsize <= DEFAULT_LIMITS.maxWindowsize, `windowsize ${windowsize}`);
    promise(
      windowsize === 1 || windowsize * blksize <= DEFAULT_LIMITS.maxWindowBytes,
      `a window of ${windowsize} blocks of ${blksize} bytes`,
    );
    promise(timeoutMs >= 1000 && timeoutMs <= 255_000, `timeout of ${timeoutMs} ms`);
    promise(
      [...reply.keys()].every((name) => packet.options.has(name)),
      'only what was asked is answered',
    );
    promise(encodePacket({ type: 'oack', options: reply }).length <= 512, 'an OACK fits the smallest block');
  });
}

/** An error's text is made readable and may become longer by that; everything else is as it was. */
function same(a: Packet, b: Packet): boolean {
  if (a.type === 'error') return b.type === 'error' && b.code === a.code;
  return JSON.stringify(plain(a)) === JSON.stringify(plain(b));
}

function plain(packet: Packet): unknown {
  if ('options' in packet) return { ...packet, options: [...packet.options] };
  return 'data' in packet
    ? { ...packet, data: [...packet.data.subarray(0, 64), packet.data.length] }
    : packet;
}

/** RFC 764: no carriage return is followed by anything but a line feed or NUL, no line feed is alone, nothing is lost. */
async function converted(bytes: Uint8Array): Promise<void> {
  const source = netascii(memoryFile(bytes));
  const out: number[] = [];
  const piece = new Uint8Array(997);
  for (let count = piece.length, at = 0; count === piece.length; at += count) {
    count = await source.fill(piece, at);
    promise(count >= 0 && count <= piece.length, `a piece of ${count} bytes`);
    for (let i = 0; i < count; i++) out.push(piece[i]!);
  }
  const back: number[] = [];
  for (let at = 0; at < out.length; at++) {
    const byte = out[at]!;
    promise(byte !== 10, 'a line feed alone');
    if (byte !== 13) back.push(byte);
    else {
      const second = out[++at];
      promise(second === 10 || second === 0, 'a carriage return alone');
      back.push(second === 10 ? 10 : 13);
    }
  }
  promise(
    back.length === bytes.length && back.every((byte, i) => byte === bytes[i]),
    'conversion loses nothing',
  );
}
