/** What a technician does to a node's boot pointer: show, flash, verify, recover. Pure (task.ts). */

import type { Slot } from '../../agent/protocol/pointer/layout.ts';
import { type BootPointer, FRESH_ATTEMPTS } from '../../agent/protocol/pointer/record.ts';
import type { PointerView } from '../../agent/protocol/pointer/store.ts';
import { SerialFailure } from './failure.ts';
import type { NodeEnd } from './node-end.ts';
import type { Identity } from './progress.ts';
import { type ReachOptions, reach } from './reach.ts';
import { type LineState, type Task, tell } from './task.ts';

/** Where a node is to boot from. */
export type Target = Pick<BootPointer, 'image' | 'disks' | 'imagers' | 'cluster'>;

export interface Shown {
  identity: Identity;
  view: PointerView;
  /** The node's log, where it was asked for and the node keeps one. */
  log?: string;
}

export interface Written {
  identity: Identity;
  old: BootPointer | null;
  /** What is in force now; with `planned`, what would be. */
  pointer: BootPointer;
  /** `kept`: it was in force already, nothing was written. */
  outcome: 'written' | 'kept' | 'planned';
}

export interface FlashOptions {
  target: (identity: Identity) => Target;
  /** Id of the new deployment. */
  deployment: string;
  /** Write even where the node boots from there already. */
  again: boolean;
  /** Read and say what would be written. */
  dryRun: boolean;
  /** Let the node start again when it is done. */
  reset: boolean;
}

export interface RecoverOptions {
  /** The pointer last written to the node with this UID that is `wanted`, as far as anybody remembers. */
  remembered: (uid: string, wanted?: (pointer: BootPointer) => boolean) => BootPointer | undefined;
  /** Take the record before the one in force, be that sound or not: the last one that names another target. */
  previous: boolean;
  dryRun: boolean;
  reset: boolean;
}

/**
 * Finds who is there, does `work`, and lets the node go: also where the work fails with the node still there. What was done
 * stands where the line goes as the node is let go.
 */
export function* withNode<T>(
  line: LineState,
  options: ReachOptions,
  work: (end: NodeEnd) => Task<T>,
): Task<T> {
  const end = yield* reach(line, options);
  let result: T;
  try {
    result = yield* work(end);
  } catch (error) {
    if (!isPulled(error)) yield* leaveAfter(end);
    throw error;
  }
  yield* unlessPulled(leave(end));
  return result;
}

function* leave(end: NodeEnd): Task<void> {
  if (end.leave !== undefined) yield* end.leave();
}

/** After a failure, which is the one to be told. */
function* leaveAfter(end: NodeEnd): Task<void> {
  try {
    yield* leave(end);
  } catch (error) {
    if (!(error instanceof SerialFailure)) throw error;
  }
}

/** A node's own USB console may go with it as it starts again. */
function* unlessPulled(work: Task<void>): Task<void> {
  try {
    yield* work;
  } catch (error) {
    if (!isPulled(error)) throw error;
  }
}

function isPulled(error: unknown): boolean {
  return error instanceof SerialFailure && error.kind === 'pulled';
}

export function* show(end: NodeEnd, { log }: { log: boolean }): Task<Shown> {
  const view = yield* end.read();
  if (!log || end.log === undefined) return { identity: end.identity, view };
  return { identity: end.identity, view, log: yield* end.log() };
}

/**
 * Flashes the node: a new deployment, unless it boots from there already. Safe to repeat. Throws SerialFailure `locked`,
 * `verify`, `refused` or `pulled`; the node has its old or its new pointer then.
 */
export function* flash(end: NodeEnd, options: FlashOptions): Task<Written> {
  const target = options.target(end.identity);
  const old = (yield* end.read()).pointer ?? null;
  const { deployment, again, dryRun, reset } = options;
  if (!again && old !== null && sameTarget(old, target)) {
    if (reset && !dryRun) yield* end.reset();
    return { identity: end.identity, old, pointer: old, outcome: 'kept' };
  }
  const fields = {
    ...target,
    deployment,
    phase: 'deploy' as const,
    attempts: FRESH_ATTEMPTS,
    fallback: old?.fallback ?? '',
  };
  return yield* write(end, old, fields, { dryRun, reset });
}

/** The pointer in force, checked against what is `expected` of it. Throws SerialFailure `verify`, naming each difference. */
export function* verify(
  end: NodeEnd,
  expected: (identity: Identity) => Partial<Target>,
): Task<Shown & { pointer: BootPointer }> {
  const view = yield* end.read();
  const { pointer } = view;
  if (pointer === undefined) throw new SerialFailure('verify', `no usable boot pointer: ${slotWords(view)}`);
  const wanted = Object.entries(expected(end.identity));
  const differences = wanted
    .map(([field, value]) => [field, String(value), String(pointer[field as keyof Target])] as const)
    .filter(([, want, have]) => want !== have)
    .map(([field, want, have]) => `${field} is ${have || 'none'}, not ${want || 'none'}`);
  if (differences.length > 0) throw new SerialFailure('verify', differences.join('; '));
  return { identity: end.identity, view, pointer };
}

/**
 * Gives a node without a usable pointer one again: the newest of its slots that holds one, else the one remembered. Writes
 * nothing where the pointer in force is sound. Throws SerialFailure `refused` where there is nothing to take.
 */
export function* recover(end: NodeEnd, options: RecoverOptions): Task<Written> {
  const { remembered, previous, dryRun, reset } = options;
  const view = yield* end.read();
  const old = view.pointer ?? null;
  if (old !== null && !previous) return { identity: end.identity, old, pointer: old, outcome: 'kept' };
  const taken = previous
    ? previousOf(view, (wanted) => remembered(end.identity.uid, wanted))
    : (newestOther(view) ?? remembered(end.identity.uid));
  if (taken === undefined)
    throw new SerialFailure(
      'refused',
      `nothing to recover from (${slotWords(view)}), and no flash of this node is on record here: flash it anew`,
    );
  const { sequence: _, ...fields } = taken;
  return yield* write(end, old, { ...fields, attempts: FRESH_ATTEMPTS }, { dryRun, reset });
}

function* write(
  end: NodeEnd,
  old: BootPointer | null,
  fields: Omit<BootPointer, 'sequence'>,
  { dryRun, reset }: { dryRun: boolean; reset: boolean },
): Task<Written> {
  const { identity } = end;
  const planned = end.plan(fields);
  if (identity.locked) throw new SerialFailure('locked', 'writes are locked on this node');
  if (dryRun) return { identity, old, pointer: planned, outcome: 'planned' };
  yield* tell({ step: 'writing', identity, old, pointer: planned });
  const pointer = yield* end.write(fields);
  yield* tell({ step: 'verified' });
  if (reset) yield* unlessPulled(end.reset());
  return { identity, old, pointer, outcome: 'written' };
}

/** The last record that names another target. Throws SerialFailure `refused` where there is none. */
function previousOf(
  view: PointerView,
  remembered: (wanted: (pointer: BootPointer) => boolean) => BootPointer | undefined,
): BootPointer {
  const { pointer } = view;
  const other = newestOther(view);
  if (other === undefined)
    throw new SerialFailure('refused', `there is no record before the one in force: ${slotWords(view)}`);
  if (pointer === undefined || !sameTarget(pointer, other)) return other;
  // An attempt is counted by writing the other slot: the deployment before is in neither.
  const before = remembered((written) => !sameTarget(pointer, written));
  if (before !== undefined) return before;
  throw new SerialFailure(
    'refused',
    `both slots name the same image, ${pointer.image}, and no flash of another to this node is on record here`,
  );
}

/** The newest usable record that is not in force. */
function newestOther({ slots, active }: PointerView): BootPointer | undefined {
  const usable = slots.flatMap((slot, i) => (slot.kind === 'valid' && i !== active ? [slot.pointer] : []));
  return usable.sort((a, b) => b.sequence - a.sequence)[0];
}

function sameTarget(pointer: BootPointer, target: Target): boolean {
  const words = ({ image, disks, imagers, cluster }: Target) =>
    JSON.stringify([image, disks, imagers, cluster]);
  return words(pointer) === words(target);
}

/** Both slots in a few words. */
export function slotWords({ slots, active }: PointerView): string {
  return slots
    .map((slot, i) => `slot ${i}${i === active ? ' (in force)' : ''} ${contentWords(slot)}`)
    .join('; ');
}

function contentWords(slot: Slot): string {
  switch (slot.kind) {
    case 'valid':
      return `names image ${slot.pointer.image}`;
    case 'empty':
      return 'is empty';
    case 'torn':
      return 'is torn';
    case 'invalid':
      return `is invalid: ${slot.faults.join(', ')}`;
  }
}
