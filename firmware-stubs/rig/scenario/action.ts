/** What a rig is told to do. */

/** Kinds of packets that a network fault is for. `dhcp` and `tftp` are all messages of theirs. */
export const TRAFFIC = ['all', 'arp', 'dhcp', 'tftp', 'http', 'nbd', 'agent'] as const;
export type Traffic = (typeof TRAFFIC)[number];

/** Something the rig is to do, at once. */
export type RigAction =
  /** `cut` takes the power away as it is: what was not durable is lost. `on` where it is on, `cut` where it is off: nothing. */
  | { kind: 'power'; node: string; power: 'on' | 'cut' }
  /**
   * A new boot pointer, of phase `deploy`, with FRESH_ATTEMPTS and a deployment id of its own; its fallback is the former one's. While
   * the node is on it writes it itself, told by the imager; while it is off the host does.
   */
  | { kind: 'flash'; node: string; image: string; disks: readonly string[] }
  /** Packets of this kind get lost from now on, in both directions. Faults add up until `heal`, which ends them all. */
  | { kind: 'network'; node: string; network: 'drop'; traffic: Traffic }
  /** Packets of this kind are held back for `delayMs`. */
  | { kind: 'network'; node: string; network: 'delay'; traffic: Traffic; delayMs: number }
  | { kind: 'network'; node: string; network: 'heal' }
  /** `stop` lets it end in order, `kill` does not. `start` resolves when it serves. */
  | { kind: 'imager'; imager: 'start' | 'stop' | 'kill' }
  /** The serial cable: nothing that the node says while it is out is seen, be it lines or steps. */
  | { kind: 'cable'; node: string; cable: 'pull' | 'plug' }
  /** The host writes bytes into the node's pointer store, which must be off. */
  | { kind: 'write'; node: string; offset: number; bytes: Uint8Array };
