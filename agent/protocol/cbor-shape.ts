/**
 * The CBOR that may travel between agent and imager: a small part of RFC 8949. A decoder acts on much more (shared
 * values, packed prefixes, bignums, records), some of which turns a few hundred bytes into gigabytes or into seconds
 * of work, so what comes from the network is looked at before it is decoded.
 */

/** Arrays and maps inside each other that messages have at most. */
export const DEEPEST = 16;

const MAJOR = { bytes: 2, text: 3, array: 4, map: 5, tag: 6, simple: 7 } as const;
/** false, true, null, undefined; half, single and double floats (RFC 8949 section 3.3). */
const SIMPLE = new Set([20, 21, 22, 23]);
const FLOAT_SIZE: Record<number, number> = { 25: 2, 26: 4, 27: 8 };
/** Bytes that follow the head for its argument (RFC 8949 section 3). */
const ARGUMENT_SIZE: Record<number, number> = { 24: 1, 25: 2, 26: 4, 27: 8 };

/**
 * Why `bytes` is not one item of this part of CBOR, in words; undefined where it is. Time and memory are bounded by
 * the length of `bytes`: each item takes at least one of them. `deepest`: how many arrays and maps may be inside each other.
 */
export function cborFault(bytes: Uint8Array, deepest = DEEPEST): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** Items still to come at each depth. */
  const open: number[] = [1];
  let at = 0;
  while (open.length > 0) {
    const left = open.pop()!;
    if (left === 0) continue;
    open.push(left - 1);
    if (at >= bytes.length) return 'it ends early';
    const major = bytes[at]! >> 5;
    const info = bytes[at]! & 31;
    at += 1;
    if (major === MAJOR.tag) return `tag at byte ${at - 1}`;
    if (major === MAJOR.simple) {
      const size = FLOAT_SIZE[info] ?? 0;
      if (size === 0 && !SIMPLE.has(info)) return `simple value ${info} at byte ${at - 1}`;
      at += size;
      continue;
    }
    if (info > 27) return `indefinite length at byte ${at - 1}`;
    const size = ARGUMENT_SIZE[info] ?? 0;
    if (at + size > bytes.length) return 'it ends early';
    const value = argument(view, at, info, size);
    at += size;
    if (major === MAJOR.bytes || major === MAJOR.text) at += value;
    else if (major === MAJOR.array || major === MAJOR.map) {
      const items = major === MAJOR.map ? 2 * value : value;
      if (items > bytes.length - at) return 'it ends early';
      if (open.length > deepest) return `nested more than ${deepest} deep`;
      open.push(items);
    }
    if (at > bytes.length) return 'it ends early';
  }
  return at === bytes.length ? undefined : `${bytes.length - at} bytes after its end`;
}

function argument(view: DataView, at: number, info: number, size: number): number {
  switch (size) {
    case 0:
      return info;
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at);
    case 4:
      return view.getUint32(at);
    default:
      return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
  }
}
