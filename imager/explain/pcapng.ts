/**
 * pcapng files (draft-ietf-opsawg-pcapng): section header, interface description and enhanced packet blocks; blocks of
 * other types are skipped.
 */
import { type Capture, CaptureError, type Frame, MAX_FRAME } from './frame.ts';

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const ENHANCED_PACKET = 6;
const ORDER_MAGIC = 0x1a2b3c4d;
const END_OF_OPTIONS = 0;
const IF_TSRESOL = 9;
const IF_TSOFFSET = 14;
/** Type, length, and the length again at the end. */
const BLOCK = 12;

interface Interface {
  linkType: number;
  /** Units of its time stamps in a second. */
  perSecond: bigint;
  /** Seconds to add to them. */
  offset: bigint;
}

/** The frames of a file that begins with a section header block. */
export function readPcapng(view: DataView): Capture {
  const frames: Frame[] = [];
  let interfaces: Interface[] = [];
  let little = false;
  for (let at = 0; at < view.byteLength; ) {
    if (at + BLOCK > view.byteLength) return { frames, fault: `the file ends inside a block at byte ${at}` };
    const type = view.getUint32(at, little);
    // The section's byte order stands behind the length that is written in it; the type reads the same in both.
    if (type === SECTION) {
      little = view.getUint32(at + 8, true) === ORDER_MAGIC;
      if (!little && view.getUint32(at + 8) !== ORDER_MAGIC) {
        if (at === 0) throw new CaptureError('a pcapng section without its byte-order magic');
        return { frames, fault: `a section without its byte-order magic at byte ${at}` };
      }
      interfaces = [];
    }
    const length = view.getUint32(at + 4, little);
    if (length < BLOCK || length % 4 !== 0)
      return { frames, fault: `a block of ${length} bytes at byte ${at}` };
    if (at + length > view.byteLength) return { frames, fault: `the file ends inside a block at byte ${at}` };
    const body = new DataView(view.buffer, view.byteOffset + at + 8, length - BLOCK);
    if (type === INTERFACE) {
      const found = interfaceOf(body, little);
      if (found === undefined) return { frames, fault: `a malformed interface description at byte ${at}` };
      interfaces.push(found);
    }
    if (type === ENHANCED_PACKET) {
      const frame = frameOf(body, little, interfaces, frames.length + 1);
      if (typeof frame === 'string') return { frames, fault: `${frame} at byte ${at}` };
      frames.push(frame);
    }
    at += length;
  }
  return { frames };
}

function interfaceOf(body: DataView, little: boolean): Interface | undefined {
  if (body.byteLength < 8) return undefined;
  const made: Interface = { linkType: body.getUint16(0, little), perSecond: 1_000_000n, offset: 0n };
  for (let at = 8; at + 4 <= body.byteLength; ) {
    const code = body.getUint16(at, little);
    const length = body.getUint16(at + 2, little);
    if (code === END_OF_OPTIONS) break;
    if (at + 4 + length > body.byteLength) return undefined;
    if (code === IF_TSRESOL && length === 1) {
      const power = body.getUint8(at + 4);
      // The upper bit chooses powers of two; beyond these a stamp of 64 bits says nothing.
      if ((power & 0x7f) > 63) return undefined;
      made.perSecond = (power & 0x80 ? 2n : 10n) ** BigInt(power & 0x7f);
    }
    if (code === IF_TSOFFSET && length === 8) made.offset = body.getBigInt64(at + 4, little);
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return made;
}

function frameOf(
  body: DataView,
  little: boolean,
  interfaces: readonly Interface[],
  number: number,
): Frame | string {
  if (body.byteLength < 20) return 'a packet block that is too short';
  const source = interfaces[body.getUint32(0, little)];
  if (source === undefined) return 'a packet of an interface that is not described';
  const length = body.getUint32(12, little);
  if (length > MAX_FRAME || 20 + length > body.byteLength)
    return `a packet of ${length} bytes in a smaller block`;
  const stamp = (BigInt(body.getUint32(4, little)) << 32n) | BigInt(body.getUint32(8, little));
  const microseconds = (stamp * 1_000_000n) / source.perSecond + source.offset * 1_000_000n;
  return {
    number,
    at: Number(microseconds) / 1000,
    linkType: source.linkType,
    bytes: new Uint8Array(body.buffer, body.byteOffset + 20, length),
  };
}
