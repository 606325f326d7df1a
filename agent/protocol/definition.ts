/**
 * A node's definition to a cluster (seed 002, figures 9a to 9c): kept twice, by the node in its local store and by the
 * imager in its registry, and compared at every join.
 */
import type { Uid } from './uid.ts';

/** What the node keeps of one cluster it is defined in. */
export interface Definition {
  /**
   * UUID, made with each define: a node that was deleted and defined again has another one, though all else may be the
   * same. It is also who the node says it is when a connection is secured.
   */
  id: string;
  cluster: {
    name: string;
    /** UUID, made with the cluster: a cluster of the same name that was made anew has another one. */
    id: string;
  };
  /** Unique in the cluster, from 1 on. */
  number: number;
  name: string;
  /** Hardware UID the node had when it was defined: the local copy (seed 002, figure 11). */
  uid: Uid;
  /** IPv4 addresses of the imagers in order of preference, the primary first. */
  imagers: string[];
  /** 32 bytes, made with the definition and known to the node and the imager alone. */
  key: Uint8Array;
  /** Public key of whoever signs scripts and images for the cluster: a P-256 point, uncompressed (65 bytes). */
  signer: Uint8Array;
}

/** Everything in a local store. */
export interface LocalContent {
  /** At most one of each cluster. */
  definitions: Definition[];
  /** Id of the cluster the node is online in, or was last. */
  current: string | null;
  /** Id of the cluster it is being moved to, null where it stays. */
  target: string | null;
}

/** Where a node keeps its definitions (seed 002, figure 10). Each write is there as a whole after it, or not at all. */
export interface LocalStore {
  /** Throws where the store is damaged: what cannot be read is never taken for nothing. */
  read(): LocalContent;
  /** Puts a definition in the place of what is there of its cluster; the first becomes current. */
  define(definition: Definition): void;
  /** Forgets a cluster, and that it is current or target. Nothing happens where nothing is known of it. */
  erase(clusterId: string): void;
  /** Throws where one of the two is not defined. */
  point(clusters: { current: string | null; target: string | null }): void;
}
