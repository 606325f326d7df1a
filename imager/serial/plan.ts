/** What a write to a pointer store comes to, from a copy of what the store holds. Pure. */
import type { Patch, PointerLayout } from '../../agent/protocol/pointer/layout.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { PointerStore, PointerStoreError, type PointerView } from '../../agent/protocol/pointer/store.ts';
import { SerialFailure } from './failure.ts';

export interface WritePlan {
  /** The record with its sequence number. */
  pointer: BootPointer;
  /** In the order they must become durable; none where the record is in force already. */
  patches: Patch[];
}

/** Both slots in `image` and the pointer in force. */
export function viewOf(layout: PointerLayout, image: Uint8Array): PointerView {
  return new PointerStore(layout, copyOf(image, [])).read();
}

/** The writes that put `fields` in force. Throws SerialFailure `refused` for a record with faults. */
export function planWrite(
  layout: PointerLayout,
  image: Uint8Array,
  fields: Omit<BootPointer, 'sequence'>,
): WritePlan {
  const patches: Patch[] = [];
  try {
    return { pointer: new PointerStore(layout, copyOf(image, patches)).write(fields), patches };
  } catch (error) {
    if (error instanceof PointerStoreError) throw new SerialFailure('refused', error.message);
    throw error;
  }
}

/** A store in memory that notes what is written: the procedure is the one that every other writer follows. */
function copyOf(image: Uint8Array, patches: Patch[]) {
  const bytes = new Uint8Array(image);
  return {
    read: (offset: number, length: number) => bytes.slice(offset, offset + length),
    write(offset: number, written: Uint8Array) {
      bytes.set(written, offset);
      patches.push({ offset, bytes: new Uint8Array(written) });
    },
  };
}
