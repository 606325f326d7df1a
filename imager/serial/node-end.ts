/** A node at the other end of a line, whichever way it is spoken to (frames-end.ts, uboot-end.ts). */
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import type { PointerView } from '../../agent/protocol/pointer/store.ts';
import type { Identity } from './progress.ts';
import type { Task } from './task.ts';

export interface NodeEnd {
  readonly identity: Identity;
  /** Both slots and the pointer in force, from the store itself. */
  read(): Task<PointerView>;
  /**
   * What `write` would store: the record with its next sequence number. Only after `read`. Throws SerialFailure for a
   * record with faults.
   */
  plan(fields: Omit<BootPointer, 'sequence'>): BootPointer;
  /** Stores the record and reads it back. Throws SerialFailure `verify` where the store holds something else then. */
  write(fields: Omit<BootPointer, 'sequence'>): Task<BootPointer>;
  /** Lets the node start again. */
  reset(): Task<void>;
  /** Lets the node go its way, as it would have without us. Absent: it does so by itself. */
  leave?(): Task<void>;
  /** The node's log. Absent: it keeps none. */
  log?(): Task<string>;
}
