/** Pointer stores in words, for people. Pure. */
import { type PointerLayout, type Slot, type SlotIndex, slotSequence } from '../protocol/pointer/layout.ts';
import { type BootPointer, fieldsOf } from '../protocol/pointer/record.ts';
import { isNewer } from '../protocol/pointer/sequence.ts';
import type { PointerView } from '../protocol/pointer/store.ts';

export interface HistoryEntry {
  slot: SlotIndex;
  inForce: boolean;
  kind: Slot['kind'];
  /** Null where the slot has no right checksum. */
  sequence: number | null;
  pointer: BootPointer | null;
  /** What is wrong with it, or '' where nothing is. */
  fault: string;
}

/** Both slots, the newer sequence number first; those without one last. */
export function historyOf({ slots, active }: PointerView): HistoryEntry[] {
  const entries = ([0, 1] as const).map((index): HistoryEntry => {
    const slot = slots[index];
    return {
      slot: index,
      inForce: index === active,
      kind: slot.kind,
      sequence: slotSequence(slot) ?? null,
      pointer: slot.kind === 'valid' ? slot.pointer : null,
      fault: slot.kind === 'torn' ? slot.why : slot.kind === 'invalid' ? slot.faults.join('; ') : '',
    };
  });
  const [a, b] = entries as [HistoryEntry, HistoryEntry];
  const second = b.sequence !== null && (a.sequence === null || isNewer(b.sequence, a.sequence));
  return second ? [b, a] : [a, b];
}

export function historyText(entries: readonly HistoryEntry[]): string {
  return entries
    .map(({ slot, inForce, kind, sequence, pointer, fault }) => {
      const head = `${sequence === null ? '-' : sequence}`.padStart(10);
      const what =
        pointer === null
          ? `${kind}${fault === '' ? '' : `: ${fault}`}`
          : `image ${pointer.image}, deployment ${pointer.deployment}, ${pointer.phase}, ${pointer.attempts} attempts`;
      return `${head}  slot ${slot}${inForce ? ', in force' : ''}: ${what}`;
    })
    .join('\n');
}

/** Why a boot would not find a usable pointer, and what to do: `remedy`; undefined where it would. */
export function faultOf(
  { fixedSlot }: PointerLayout,
  { slots, active, pointer }: PointerView,
  remedy: string,
): string | undefined {
  if (active !== undefined && fixedSlot !== undefined && active !== fixedSlot)
    return (
      'only the spare copy has the boot pointer, and the firmware does not read it: ' +
      `slot ${fixedSlot} ${stateText(slots[fixedSlot])}; \`agent pointer set\` restores it from the spare copy`
    );
  if (pointer !== undefined) return undefined;
  const found = slots.map((slot, i) => `slot ${i} ${stateText(slot)}`).join('; ');
  return active === undefined
    ? `no boot pointer: ${found}; ${remedy}`
    : `the slot in force has no usable boot pointer: ${found}; ${remedy}`;
}

export function viewText({ slots, active }: PointerView): string {
  return slots.map((slot, i) => `slot ${i}${i === active ? ', in force' : ''}: ${slotText(slot)}`).join('\n');
}

/** In a sentence. */
function stateText(slot: Slot): string {
  return slot.kind === 'valid'
    ? `holds image ${slot.pointer.image}, sequence ${slot.pointer.sequence}`
    : `is ${slotText(slot)}`;
}

function slotText(slot: Slot): string {
  switch (slot.kind) {
    case 'valid':
      return `\n${recordText(slot.pointer)}`;
    case 'empty':
      return 'empty';
    case 'torn':
      return `torn: ${slot.why}`;
    case 'invalid':
      return `invalid: ${slot.faults.join('; ')}`;
  }
}

export function recordText(pointer: BootPointer): string {
  return fieldsOf(pointer)
    .map(([key, value]) => `  ${key.replace('bw_', '').padEnd(11)} ${value}`)
    .join('\n');
}
