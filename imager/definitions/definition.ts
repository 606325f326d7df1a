/** A node's definition as the cluster keeps it: the global copy (seed 002, figure 11). */
import type { Uid } from '../../agent/protocol/uid.ts';

export interface GlobalDefinition {
  /** UUID, as in the node's own copy. */
  id: string;
  /** Unique among those that are not `undefining`. */
  number: number;
  /** Of the node, as configured. */
  name: string;
  uid: Uid;
  /** IPv4 address it was defined at. */
  address: string;
  /** Null where the node has nowhere to keep one: it is told by its address alone. */
  key: Uint8Array | null;
  /** Name of the virtual disk that the node's copy is on; left out where it is elsewhere. */
  disk?: string;
  /**
   * `defining`: the node may have its copy or not. `undefining`: deleted; the node may still have its copy, and is told
   * to erase it when it comes with the key.
   */
  state: 'defining' | 'defined' | 'undefining';
  /** Its hardware was replaced: this UID takes the place of `uid` once the node has it in its copy. */
  correcting?: Uid;
  /** When it was made: milliseconds since the epoch. */
  at: number;
}
