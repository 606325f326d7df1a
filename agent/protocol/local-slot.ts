/**
 * A local store's content (definition.ts) as a binary slot, for nodes without a disk of their own. Numbers are little-endian; the
 * head is that of every binary slot (pointer/slot-frame.ts).
 *
 *     0x00  4  "BWL1"
 *     0x04  4  CRC-32 of `length` bytes from 0x08 on
 *     0x08  2  length: of the content, from here to its end
 *     0x0a  1  count of definitions, 0 to 4
 *     0x0b  1  low four bits: which of them is current, from 1 on, 0 for none; high four: the target
 *     0x0c  4  sequence
 *     0x10     the definitions, each:
 *          16  id of the definition: a UUID as it is printed, without dashes
 *          16  id of the cluster, the same
 *           4  node number
 *              texts: cluster, node, hardware UID; each one byte of length, then ASCII
 *           1  count of imagers, then 4 bytes of IPv4 address each, in network order
 *          32  key
 *          65  the signer's public key
 *
 * A definition takes at most 349 bytes, all four at most 1412 with the head. A slot with a sound head may be stored longer than `length`: zeroes
 * where a former content reached further, so that no key outlives its definition.
 */
import type { Definition, LocalContent } from './definition.ts';
import { hex, hexBytes } from './hex.ts';
import { ipv4ToNumber, numberToIpv4 } from './ipv4.ts';
import { fromLatin1, toLatin1 } from './latin1.ts';
import { contentFaults, KEY_BYTES, SIGNER_BYTES } from './local-content.ts';
import { decodeSlotFrame, encodeSlotFrame, type SlotContent } from './pointer/slot-frame.ts';

const MAGIC = 'BWL1';
/** Definitions that a slot holds. */
export const MOST_CLUSTERS = 4;

/**
 * What one slot holds. `torn`: it fails its checksum, or the power went in its first bytes. `foreign`: it never was a slot of ours.
 * `invalid`: a right checksum around content with faults.
 */
export type LocalSlot =
  | { kind: 'valid'; content: LocalContent; sequence: number }
  | { kind: 'empty' }
  | { kind: 'torn'; why: string }
  | { kind: 'foreign'; why: string }
  | { kind: 'invalid'; faults: string[]; sequence: number };

/** The slot's bytes, as long as the content. Only for content without faults, of MOST_CLUSTERS definitions at most. */
export function encodeLocalSlot(
  { definitions, current, target }: LocalContent,
  sequence: number,
): Uint8Array {
  const rest: number[] = [];
  const text = (value: string) => rest.push(value.length, ...toLatin1(value));
  for (const { id, cluster, number, name, uid, imagers, key, signer } of definitions) {
    rest.push(...uuidBytes(id), ...uuidBytes(cluster.id));
    for (const shift of [0, 8, 16, 24]) rest.push((number >>> shift) & 0xff);
    for (const value of [cluster.name, name, uid]) text(value);
    rest.push(imagers.length, ...imagers.flatMap((imager) => imager.split('.').map(Number)));
    rest.push(...key, ...signer);
  }
  const place = (id: string | null) => definitions.findIndex(({ cluster }) => cluster.id === id) + 1;
  const own: [number, number] = [definitions.length, place(current) | (place(target) << 4)];
  return encodeSlotFrame(MAGIC, { own, sequence, rest: Uint8Array.from(rest) });
}

/** What the bytes of one slot hold. Never throws, and never tells a byte of a key. */
export function decodeLocalSlot(bytes: Uint8Array): LocalSlot {
  const frame = decodeSlotFrame(MAGIC, bytes);
  switch (frame.kind) {
    case 'content':
      return decodeContent(frame.content);
    case 'empty':
      return frame;
    case 'torn':
      return { kind: frame.ours || isBegun(bytes) ? 'torn' : 'foreign', why: frame.why };
  }
}

/** The first write ever of a slot, cut in its first bytes: the rest is as it left the factory. */
function isBegun(bytes: Uint8Array): boolean {
  let at = 0;
  while (at < MAGIC.length && bytes[at] === MAGIC.charCodeAt(at)) at++;
  return at > 0 && bytes.subarray(at).every((byte) => byte === 0 || byte === 0xff);
}

function decodeContent({ own: [count, places], sequence, rest }: SlotContent): LocalSlot {
  let at = 0;
  const take = (length: number) => {
    at += length;
    return rest.slice(at - length, at);
  };
  const byte = () => take(1)[0] ?? 0;
  const text = () => fromLatin1(take(byte()));
  const number = () => {
    const [a = 0, b = 0, c = 0, d = 0] = take(4);
    return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
  };
  const address = () => {
    const [a = 0, b = 0, c = 0, d = 0] = take(4);
    return numberToIpv4(ipv4ToNumber(`${a}.${b}.${c}.${d}`));
  };
  const definition = (): Definition => {
    const [id, clusterId, nodeNumber] = [uuidText(take(16)), uuidText(take(16)), number()];
    const [clusterName, name, uid] = [text(), text(), text()];
    const imagers = Array.from({ length: byte() }, address);
    const [key, signer] = [take(KEY_BYTES), take(SIGNER_BYTES)];
    return {
      ...{ id, cluster: { name: clusterName, id: clusterId } },
      ...{ number: nodeNumber, name, uid, imagers, key, signer },
    };
  };
  const definitions = Array.from({ length: Math.min(count, MOST_CLUSTERS) }, definition);
  const faults: string[] = [];
  if (count > MOST_CLUSTERS) faults.push(`${count} definitions, at most ${MOST_CLUSTERS} fit`);
  else if (at !== rest.length)
    faults.push(`definitions of ${rest.length} bytes, their texts and lists take ${at}`);
  const idAt = (place: number): string | null => {
    if (place === 0) return null;
    const found = definitions[place - 1]?.cluster.id;
    if (found === undefined) faults.push(`there is no definition ${place} to be current or target`);
    return found ?? null;
  };
  const content = { definitions, current: idAt(places & 0xf), target: idAt(places >> 4) };
  faults.push(...contentFaults(content));
  return faults.length === 0 ? { kind: 'valid', content, sequence } : { kind: 'invalid', faults, sequence };
}

function uuidBytes(uuid: string): Uint8Array {
  return hexBytes(uuid.replaceAll('-', ''));
}

function uuidText(bytes: Uint8Array): string {
  const digits = hex(bytes);
  return [0, 8, 12, 16, 20].map((from, i, all) => digits.slice(from, all[i + 1] ?? digits.length)).join('-');
}
