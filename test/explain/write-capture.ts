/** Writes captures, so that tests can read them in every form. */
import type { Frame } from '../../imager/explain/frame.ts';

/** Classic pcap: byte order, fractions of a second, link type. */
export function pcap(
  frames: readonly Frame[],
  { little, nano = false, linkType = 1 }: { little: boolean; nano?: boolean; linkType?: number },
): Uint8Array {
  const header = numbers(little, nano ? 0xa1b23c4d : 0xa1b2c3d4, { short: [2, 4] }, 0, 0, 262_144, linkType);
  const records = frames.map(({ at, bytes }) => {
    const seconds = Math.floor(at / 1000);
    const fraction = Math.round((at - seconds * 1000) * (nano ? 1_000_000 : 1000));
    return Buffer.concat([numbers(little, seconds, fraction, bytes.length, bytes.length), bytes]);
  });
  return new Uint8Array(Buffer.concat([header, ...records]));
}

/** pcapng with a block of another type before each packet; `resolution` is if_tsresol. */
export function pcapng(
  frames: readonly Frame[],
  { little, resolution = 6 }: { little: boolean; resolution?: number },
): Uint8Array {
  const perMs = resolution & 0x80 ? 2 ** (resolution & 0x7f) / 1000 : 10 ** (resolution - 3);
  const option = Buffer.concat([
    numbers(little, { short: [9, 1] }),
    Buffer.of(resolution, 0, 0, 0),
    Buffer.alloc(4),
  ]);
  const blocks = [
    block(little, 0x0a0d0d0a, numbers(little, 0x1a2b3c4d, { short: [1, 0] }, 0xffffffff, 0xffffffff)),
    block(little, 1, Buffer.concat([numbers(little, { short: [1, 0] }, 262_144), option])),
    ...frames.flatMap(({ at, bytes }) => {
      const stamp = BigInt(Math.round(at * perMs));
      const head = numbers(
        little,
        0,
        Number(stamp >> 32n),
        Number(stamp & 0xffffffffn),
        bytes.length,
        bytes.length,
      );
      const pad = Buffer.alloc((4 - (bytes.length % 4)) % 4);
      return [block(little, 0xbad, Buffer.from('skip')), block(little, 6, Buffer.concat([head, bytes, pad]))];
    }),
  ];
  return new Uint8Array(Buffer.concat(blocks));
}

/** The same frame in VLAN 5. */
export function tagged(frame: Frame): Frame {
  const { bytes } = frame;
  const tag = Uint8Array.of(0x81, 0, 0, 5);
  return { ...frame, bytes: new Uint8Array(Buffer.concat([bytes.subarray(0, 12), tag, bytes.subarray(12)])) };
}

/** LINKTYPE_LINUX_SLL: packet type, ARPHRD, address length, address, EtherType. */
export function cooked(frame: Frame): Frame {
  const { bytes } = frame;
  const head = [
    Uint8Array.of(0, 0, 0, 1, 0, 6),
    bytes.subarray(6, 12),
    Uint8Array.of(0, 0),
    bytes.subarray(12),
  ];
  return { ...frame, linkType: 113, bytes: new Uint8Array(Buffer.concat(head)) };
}

/** LINKTYPE_LINUX_SLL2: EtherType first. */
export function cooked2(frame: Frame): Frame {
  const { bytes } = frame;
  const head = [
    ...[bytes.subarray(12, 14), Uint8Array.of(0, 0, 0, 0, 0, 7, 0, 1, 0, 6), bytes.subarray(6, 12)],
    ...[Uint8Array.of(0, 0), bytes.subarray(14)],
  ];
  return { ...frame, linkType: 276, bytes: new Uint8Array(Buffer.concat(head)) };
}

function block(little: boolean, type: number, body: Uint8Array): Uint8Array {
  const length = body.length + 12;
  return Buffer.concat([numbers(little, type, length), body, numbers(little, length)]);
}

/** 32-bit numbers, 16-bit ones where they are in `short`. */
function numbers(little: boolean, ...values: (number | { short: number[] })[]): Uint8Array {
  const parts = values.map((value) => {
    if (typeof value === 'number') {
      const part = Buffer.alloc(4);
      if (little) part.writeUInt32LE(value);
      else part.writeUInt32BE(value);
      return part;
    }
    const part = Buffer.alloc(value.short.length * 2);
    for (const [i, each] of value.short.entries())
      if (little) part.writeUInt16LE(each, i * 2);
      else part.writeUInt16BE(each, i * 2);
    return part;
  });
  return Buffer.concat(parts);
}
