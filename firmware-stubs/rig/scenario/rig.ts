/**
 * What a scenario needs of a rig, real or simulated: it is asked for the next thing that happens, and told what to do.
 * The engine (engine.ts) and its reports know no more of it. Times are milliseconds since the scenario began, on the rig's own clock.
 */
import type { BootPointer } from '../../../agent/protocol/pointer/record.ts';
import type { Component } from '../../../imager/journal/event.ts';
import type { ConfigPath } from '../../../imager/model/fault.ts';
import type { Scenario } from './scenario.ts';

/** What a packet is, by its ports and first bytes. */
export const PACKETS = [
  ...(['arp', 'dhcp-discover', 'dhcp-offer', 'dhcp-request', 'dhcp-ack', 'dhcp-nak'] as const),
  ...(['tftp-read', 'tftp-data', 'tftp-ack', 'tftp-oack', 'tftp-error', 'http', 'nbd', 'agent'] as const),
] as const;
export type PacketKind = (typeof PACKETS)[number];

/** Kinds of packets that a network fault is for. `dhcp` and `tftp` are all messages of theirs. */
export const TRAFFIC = ['all', 'arp', 'dhcp', 'tftp', 'http', 'nbd', 'agent'] as const;
export type Traffic = (typeof TRAFFIC)[number];

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

/** Nodes, an imager and the network between them, prepared for one scenario: all nodes flashed and off, the imager serving. */
export interface ScenarioRig {
  now(): number;
  /**
   * Lets time go on until something happens, and gives it; undefined where nothing does before `until` (then now() is `until` or
   * later). Events come in order of time, none is lost between two calls. Rejects where the rig cannot go on.
   */
  next(until: number): Promise<RigEvent | undefined>;
  /** Resolves when it is done. What it brings about comes out of next(). Rejects, saying why, where it cannot be done. */
  perform(action: RigAction): Promise<void>;
  /** The boot pointer in force in the node's store; undefined where none is usable. */
  pointer(node: string): BootPointer | undefined;
  /** Lines for the report of a failure that are no console's: the end of the imager's log. */
  logs(): string;
  /** Ends all of it. */
  close(): Promise<void>;
}

/** Something a scenario asks for that a rig has not. */
export interface Refusal {
  /** Where in the scenario's file. */
  path: ConfigPath;
  /** `the simulated rig has no kernel console` */
  why: string;
}

export interface OpenOptions {
  /** Folder for its files; made where it does not exist. */
  dir: string;
  /** Decides whatever is left to chance. */
  seed: number;
  /** Takes a line about preparations that take long. */
  say(line: string): void;
}

/** A kind of rig. */
export interface RigKind {
  readonly name: 'qemu' | 'simulated';
  /** Everything in the scenario that this kind cannot do; it is run only where there is nothing. */
  refusals(scenario: Scenario): Refusal[];
  /** Prepares one. Rejects where that fails, with nothing left running. */
  open(scenario: Scenario, options: OpenOptions): Promise<ScenarioRig>;
}
