/** What happens on a rig. Times are milliseconds since the scenario began, on the rig's own clock. */
import type { Component } from '../../../imager/journal/event.ts';

/** What a packet is, by its ports and first bytes. */
export const PACKETS = [
  ...(['arp', 'dhcp-discover', 'dhcp-offer', 'dhcp-request', 'dhcp-ack', 'dhcp-nak'] as const),
  ...(['tftp-read', 'tftp-data', 'tftp-ack', 'tftp-oack', 'tftp-error', 'http', 'nbd', 'agent'] as const),
] as const;
export type PacketKind = (typeof PACKETS)[number];

interface Happened {
  at: number;
  /** Undefined: of no node, or of one that is not known. */
  node?: string;
}

/** Something that happened. */
export type RigEvent =
  /**
   * A step of the firmware (`start`, `pointer`, `dhcp`, `load`, `boot`, `error`), of the agent (`mounted`, `stage1`, ...) or of
   * the imager's servers, in the words of imager/journal/event.ts; of the rig itself: `power-on`, `off`.
   */
  | (Happened & {
      kind: 'step';
      component: Component;
      step: string;
      reason?: string;
      detail: Readonly<Record<string, string | number | boolean>>;
    })
  /** One whole line of the serial console. Its step, where it says one, follows as an event of its own. */
  | (Happened & { kind: 'line'; text: string })
  /** A packet on the node's link, to or from the node. */
  | (Happened & { kind: 'packet'; packet: PacketKind })
  /**
   * Bytes of one write are in the node's pointer store. `stored` of `length` bytes are there by now; the last event of a write has
   * both equal. A rig that can stop between bytes tells of those counts that the scenario names (Scenario.writeStops).
   */
  | (Happened & { kind: 'write'; slot: 0 | 1; stored: number; length: number })
  | (Happened & { kind: 'imager'; state: 'started' | 'stopped' | 'killed' });
