/** Local stores in slots, and a write over whatever is there. */
import { crc32 } from 'node:zlib';
import { contentFaults, LocalStoreError } from '../../../agent/protocol/local-content.ts';
import { decodeLocalSlot, encodeLocalSlot } from '../../../agent/protocol/local-slot.ts';
import { LocalSlots } from '../../../agent/protocol/local-slots.ts';
import { definitionOf, longestDefinition, uuid } from '../../local/definitions.ts';
import { promise, refusable, type Target } from '../target.ts';

const SLOT = 1024;
const WRITTEN_ONCE_IN = 256;
const GOOD = encodeLocalSlot({ definitions: [definitionOf(1)], current: uuid(1), target: null }, 5);

/** A packet is slot 0, beside a good slot 1; two of three get a right checksum. */
export function localSlotTarget(): Target {
  let turn = 0;
  return {
    seeds: [
      GOOD,
      encodeLocalSlot(
        { definitions: [longestDefinition(1), longestDefinition(2)], current: null, target: uuid(2) },
        0xffffffff,
      ),
    ],
    tokens: ['BWL1', 'serial:', '..', '\x04', '\xff\xff\xff\xff', '\x05\x21', '/'].map((token) =>
      Buffer.from(token, 'latin1'),
    ),
    maxLength: SLOT,
    take(bytes) {
      const slot = new Uint8Array(SLOT);
      slot.set(bytes);
      if (((bytes[0] ?? 0) + bytes.length) % 3 !== 0) seal(slot);
      const found = decodeLocalSlot(slot);
      if (found.kind === 'valid') {
        promise(contentFaults(found.content).length === 0, 'valid content');
        const again = encodeLocalSlot(found.content, found.sequence);
        promise(Buffer.from(slot.subarray(0, again.length)).equals(again), 'content comes back');
      }
      if (turn++ % WRITTEN_ONCE_IN === 0) written(slot);
      return found.kind === 'valid';
    },
  };
}

/** Gives it the right length and checksum. */
function seal(slot: Uint8Array): void {
  const view = new DataView(slot.buffer);
  view.setUint16(8, Math.min(view.getUint16(8, true), SLOT - 8), true);
  view.setUint32(4, crc32(slot.subarray(8, 8 + view.getUint16(8, true))), true);
}

/** Whatever is in it: what is read is sound or damaged, and once it is cleared a definition can be kept. */
function written(slot: Uint8Array): void {
  const image = new Uint8Array(2 * SLOT);
  image.set(slot);
  image.set(GOOD, SLOT);
  const store = new LocalSlots(
    {
      read: (at, length) => image.slice(at, at + length),
      write: (at, bytes) => image.set(bytes, at),
    },
    SLOT,
  );
  refusable(LocalStoreError, () => store.read());
  store.clear();
  store.define(definitionOf(2));
  promise(store.read().definitions.length === 1, 'a definition is kept');
  promise(!Buffer.from(image).includes(Buffer.from(definitionOf(1).key)), 'no key stays behind');
}
