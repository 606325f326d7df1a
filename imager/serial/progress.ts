/** How far work on a line has come, for tables and the audit trail. */
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';

/** How a node is spoken to: frames (agent/protocol/serial), or U-Boot's own prompt. */
export type Via = 'frames' | 'uboot';

export interface Identity {
  via: Via;
  /** Text form of agent/protocol/uid.ts; '' where the node does not say. */
  uid: string;
  layout: string;
  /** What answered, in its own words. */
  firmware: string;
  locked: boolean;
}

export type Progress =
  /** The port is open, and somebody has been asked. */
  | { step: 'waiting' }
  | { step: 'found'; identity: Identity }
  | { step: 'reading' | 'sending' | 'checking'; done: number; total: number }
  /** The store is about to be changed. */
  | { step: 'writing'; identity: Identity; old: BootPointer | null; pointer: BootPointer }
  /** The store was read back: the pointer is in force, whatever becomes of the line from here on. */
  | { step: 'verified' }
  | { step: 'resetting' };
