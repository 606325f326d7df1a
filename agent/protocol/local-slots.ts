/**
 * A local store in two slots (local-slot.ts) of an EEPROM or of UEFI variables.
 *
 * The slot with the right CRC-32 and the newer sequence number counts (pointer/sequence.ts). A write goes to the other one by
 * the procedure of boot pointers (pointer/store.ts), and when it counts once more, into the slot that was left: both hold the same then.
 * So a power cut at any byte leaves the former content or the new one; a slot that goes bad later loses nothing; and of
 * what is forgotten no copy, no key, stays behind.
 */
import type { Definition, LocalContent, LocalStore } from './definition.ts';
import {
  contentFaults,
  LocalRefusedError,
  LocalStoreError,
  LocalUnverifiedError,
  NO_CONTENT,
  withDefinition,
  withoutCluster,
} from './local-content.ts';
import { decodeLocalSlot, encodeLocalSlot, type LocalSlot, MOST_CLUSTERS } from './local-slot.ts';
import type { SlotIndex } from './pointer/layout.ts';
import { newestOf, sequenceAfter } from './pointer/sequence.ts';
import { type Eeprom, writeSlot } from './pointer/store.ts';

/** Holds four definitions with the longest names there are. */
export const LARGEST_LOCAL_SLOT = 2048;
/** Holds two of them. */
const SMALLEST_LOCAL_SLOT = 1024;

/** Bytes of each slot where `room` bytes are free; undefined where that is not enough. */
export function localSlotSize(room: number): number | undefined {
  if (room < 2 * SMALLEST_LOCAL_SLOT) return undefined;
  return room < 2 * LARGEST_LOCAL_SLOT ? SMALLEST_LOCAL_SLOT : LARGEST_LOCAL_SLOT;
}

interface View {
  slots: [LocalSlot, LocalSlot];
  newest: SlotIndex | undefined;
}

export class LocalSlots implements LocalStore {
  readonly #eeprom: Eeprom;
  readonly #slotSize: number;
  readonly #name: string;

  /** `eeprom`: slot 0 at 0, slot 1 at `slotSize`. `name`: what errors call it. */
  constructor(eeprom: Eeprom, slotSize: number, name = 'the local store') {
    this.#eeprom = eeprom;
    this.#slotSize = slotSize;
    this.#name = name;
  }

  /** Why nothing may be kept here: what is there is somebody else's. Undefined where it is ours, or nobody's. */
  occupied(): string | undefined {
    const { slots } = this.#view();
    const [strange] = slots.filter((slot) => slot.kind === 'foreign');
    const ours = slots.some(({ kind }) => kind !== 'foreign' && kind !== 'empty');
    return strange === undefined || ours ? undefined : strange.why;
  }

  read(): LocalContent {
    const { slots, newest } = this.#view();
    if (newest === undefined) {
      // The first write ever, cut: there was nothing before it. Later both slots hold something.
      const begun =
        slots.some(({ kind }) => kind === 'empty') && slots.every(({ kind }) => kind !== 'foreign');
      if (begun) return NO_CONTENT;
      throw new LocalStoreError(`${this.#name} is damaged: ${slots.map(faultText).join('; ')}`);
    }
    const slot = slots[newest];
    if (slot.kind !== 'valid')
      throw new LocalStoreError(`${this.#name} is damaged: ${faultText(slot, newest)}`);
    return slot.content;
  }

  define(definition: Definition): void {
    this.#write(withDefinition(this.read(), definition));
  }

  erase(clusterId: string): void {
    const before = this.read();
    const after = withoutCluster(before, clusterId);
    if (after.definitions.length < before.definitions.length) this.#write(after);
  }

  point({ current, target }: { current: string | null; target: string | null }): void {
    this.#write({ ...this.read(), current, target });
  }

  /** Forgets everything, be it damaged or not. */
  clear(): void {
    this.#write(NO_CONTENT);
  }

  #write(content: LocalContent): void {
    const faults = contentFaults(content);
    if (faults.length > 0) throw new LocalRefusedError(`local store not written: ${faults.join('; ')}`);
    const { length } = content.definitions;
    if (length > MOST_CLUSTERS)
      throw new LocalRefusedError(
        `local store not written: it keeps ${MOST_CLUSTERS} clusters, and ${length} were to be: erase one first`,
      );
    const wanted = encodeLocalSlot(content, 0);
    if (wanted.length > this.#slotSize)
      throw new LocalRefusedError(
        `local store not written: ${length} clusters take ${wanted.length} bytes, a slot here has ${this.#slotSize}: ` +
          'erase one first, or use shorter names',
      );
    const holds = (slot: LocalSlot) =>
      slot.kind === 'valid' && sameBytes(encodeLocalSlot(slot.content, 0), wanted);
    for (let view = this.#view(), writes = 0; !view.slots.every(holds); view = this.#view(), writes++) {
      // Each slot was written, and read back as it should be.
      if (writes === 2) throw unverified('a slot that was read back has changed');
      const slot: SlotIndex = view.newest === 0 ? 1 : 0;
      const former = view.newest === undefined ? undefined : sequenceOf(view.slots[view.newest]);
      const bytes = this.#overWhatWas(slot, encodeLocalSlot(content, sequenceAfter(former)));
      const fault = () => {
        const { newest, slots } = this.#view();
        return newest === slot && holds(slots[slot]) ? undefined : `slot ${slot} is not the one that counts`;
      };
      writeSlot(this.#eeprom, [{ offset: slot * this.#slotSize, bytes }], fault, unverified);
    }
  }

  /** `bytes`, and zeroes as far as the slot holds anything behind them. */
  #overWhatWas(slot: SlotIndex, bytes: Uint8Array): Uint8Array {
    const former = this.#slot(slot);
    let end = former.length;
    while (end > bytes.length && (former[end - 1] === 0 || former[end - 1] === 0xff)) end--;
    const all = new Uint8Array(Math.max(bytes.length, end));
    all.set(bytes);
    return all;
  }

  #view(): View {
    const slots: [LocalSlot, LocalSlot] = [decodeLocalSlot(this.#slot(0)), decodeLocalSlot(this.#slot(1))];
    return { slots, newest: newestOf(sequenceOf(slots[0]), sequenceOf(slots[1])) };
  }

  #slot(slot: SlotIndex): Uint8Array {
    return this.#eeprom.read(slot * this.#slotSize, this.#slotSize);
  }
}

function unverified(why: string): LocalUnverifiedError {
  return new LocalUnverifiedError(`local store not verified: ${why}`);
}

function sequenceOf(slot: LocalSlot): number | undefined {
  return slot.kind === 'valid' || slot.kind === 'invalid' ? slot.sequence : undefined;
}

function faultText(slot: LocalSlot, index: number): string {
  switch (slot.kind) {
    case 'torn':
    case 'foreign':
      return `slot ${index} is torn: ${slot.why}`;
    case 'invalid':
      return `slot ${index} is invalid: ${slot.faults.join('; ')}`;
    case 'empty':
    case 'valid':
      return `slot ${index} is ${slot.kind}`;
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
