/**
 * What firmware does with the boot pointers it finds: the one table that every stub of ours follows, U-Boot's script and those
 * in C (firmware-stubs/uboot/README.md says it in words). Pure. test/firmware/decisions.ts has the cases, and each stub's
 * test runs them on the real firmware: same bytes in, same lines and same bytes out.
 */
import { encodeEnvBlock, sortedVariables } from '../../agent/protocol/pointer/env-block.ts';
import type { Patch, PointerLayout, SlotIndex } from '../../agent/protocol/pointer/layout.ts';
import { type BootPointer, fieldsOf, type PointerPhase } from '../../agent/protocol/pointer/record.ts';
import { sequenceAfter } from '../../agent/protocol/pointer/sequence.ts';
import { UBOOT_SLOT_SIZE } from '../../agent/protocol/pointer/uboot-env.ts';

const LAST_PLAIN_SEQUENCE = 0xffff_ffff;

export interface Decision {
  /** The slot that is obeyed, and what its record says. */
  slot: SlotIndex;
  pointer: BootPointer;
  /** The image that is booted: the pointer's, or its fallback. */
  image: string;
  attempts: number;
  phase: PointerPhase;
  /** No attempts are left: the last good image is booted. */
  fallback: boolean;
  /**
   * Written into the other slot once an imager has given the manifest of `image`, before any other file is asked for.
   * Absent: nothing is written.
   */
  count?: Patch;
  /** Why an attempt that should be counted cannot be; the image is booted all the same. */
  uncounted?: string;
}

/** Firmware that cannot boot: what it says on its console, and tries again a little later. */
export interface Refusal {
  error: string;
}

/** The decision over a store's bytes, of a layout whose firmware can write. Never throws on any content. */
export function decide(layout: PointerLayout, store: Uint8Array): Decision | Refusal {
  const slot = layout.active(store);
  if (slot === undefined) return { error: 'no boot pointer in the EEPROM' };
  const found = layout.read(store)[slot];
  // Its checksum is right and it is the newer one: the other is what somebody meant to replace.
  if (found.kind !== 'valid') return { error: `the boot pointer in slot ${slot} is not usable` };

  const { pointer } = found;
  const { image, attempts, phase } = pointer;
  const booted = { slot, pointer, image, attempts, phase, fallback: false };
  if (phase === 'ready') return booted;
  if (attempts === 0)
    return pointer.fallback === '' ? booted : { ...booted, image: pointer.fallback, fallback: true };
  if (!layout.wraps && pointer.sequence === LAST_PLAIN_SEQUENCE)
    return { ...booted, uncounted: 'cannot count the attempt' };
  const counted = { ...pointer, sequence: sequenceAfter(pointer.sequence), attempts: attempts - 1 };
  return { ...booted, count: countPatch(layout, store, slot === 0 ? 1 : 0, counted) };
}

/** What the firmware says of it on its console, in this order; its own lines of DHCP and of loading files come between. */
export function consoleLines(decision: Decision | Refusal): string[] {
  if ('error' in decision) return [`bootwright: firmware error ${decision.error}`];
  const { slot, pointer, image, attempts, fallback, uncounted } = decision;
  return [
    `pointer image=${pointer.image} slot=${slot} attempts=${attempts}`,
    ...(fallback ? [`error no attempts left for ${pointer.image}: fallback ${image}`] : []),
    `load ${image}`,
    ...(uncounted === undefined ? [] : [`error ${uncounted}`]),
  ].map((text) => `bootwright: firmware ${text}`);
}

/** The store once the attempt has been counted. */
export function storeAfter(store: Uint8Array, decision: Decision | Refusal): Uint8Array {
  const after = store.slice();
  if ('count' in decision && decision.count !== undefined)
    after.set(decision.count.bytes, decision.count.offset);
  return after;
}

function countPatch(layout: PointerLayout, store: Uint8Array, slot: SlotIndex, counted: BootPointer): Patch {
  if (layout.name !== 'uboot-env') return layout.patches(store, slot, counted)[0]!;
  // As `env export -c` writes it: by name, and a variable without a value is none (U-Boot lib/hashtable.c).
  const variables = new Map(fieldsOf(counted).filter(([, value]) => value !== ''));
  const bytes = encodeEnvBlock({ variables: sortedVariables(variables), flag: undefined }, UBOOT_SLOT_SIZE);
  return { offset: slot * UBOOT_SLOT_SIZE, bytes };
}
