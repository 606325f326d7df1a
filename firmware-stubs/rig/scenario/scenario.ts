/** A scenario as it is run: checked, times in milliseconds, names resolved. schema.ts is its file, load.ts reads it. */
import type { Component } from '../../../imager/journal/event.ts';
import type { ImagerConfig } from '../../../imager/model/config.ts';
import type { ConfigPath } from '../../../imager/model/fault.ts';
import type { NetworkFirmware, Rig, StubFirmware } from '../qemu.ts';
import type { RigAction } from './action.ts';
import type { PacketKind } from './event.ts';

export interface Scenario {
  /** As it was named; faults begin with it. */
  file: string;
  name: string;
  seed: number;
  timeoutMs: number;
  /** Boot images by name: Debian's kernel and the agent. */
  images: ReadonlyMap<string, ScenarioImage>;
  nodes: readonly ScenarioNode[];
  imager: ScenarioImager;
  script: readonly ScriptItem[];
  expect: readonly Expectation[];
  cuts: RandomCuts | undefined;
  /** Counts of bytes that `write` events ask for: a write is to be told of there. */
  writeStops: readonly number[];
  /** Line of the file, from 1, in which what is at `path` stands. */
  lineOf(path: ConfigPath): number;
}

export interface ScenarioImage {
  /** False: its kernel finds no init, panics, and the machine starts again a second later. */
  boots: boolean;
}

export interface ScenarioNode {
  name: string;
  rig: Rig;
  /** A stub, or firmware that asks the network what to boot: such a node has no boot pointer. */
  firmware?: NetworkFirmware | StubFirmware;
  mac: string;
  uid: string;
  /** What is in its store when the scenario begins, written once to an empty store. Undefined: nothing. */
  pointer: ScenarioPointer | undefined;
}

export interface ScenarioPointer {
  image: string;
  disks: readonly string[];
  phase: 'deploy' | 'ready';
  attempts: number;
  fallback: string;
}

export interface ScenarioImager {
  /** `state` in it is a place that the rig must not use: each run has one of its own. */
  config: ImagerConfig;
  /** The same as the content of a configuration file: paths absolute, without `state`. */
  content: Readonly<Record<string, unknown>>;
}

/** Which events are meant. All that is given must fit. */
export interface EventPattern {
  /** In the words of the file: `n1 step load`. */
  words: string;
  /** Where in the scenario's file. */
  path: ConfigPath;
  node: string | undefined;
  what:
    | {
        kind: 'step';
        step: string;
        component: Component | undefined;
        /** Compared as text. */
        detail: Readonly<Record<string, string>>;
      }
    | { kind: 'line'; line: RegExp }
    | { kind: 'packet'; packet: PacketKind }
    /** `stored`: when so many bytes of it are there. Undefined: all of them. */
    | { kind: 'write'; slot: 0 | 1 | undefined; stored: number | undefined }
    | { kind: 'imager'; state: 'started' | 'stopped' | 'killed' }
    /** The beginning of the scenario. */
    | { kind: 'start' };
}

/** `actions`, `afterMs` after the `nth` event that fits. Each item comes once. */
export interface ScriptItem {
  on: EventPattern;
  nth: number;
  afterMs: number;
  /** One after the other. */
  actions: readonly ScriptAction[];
}

export interface ScriptAction {
  path: ConfigPath;
  action: RigAction;
  /** What follows by itself, so long after it was done: a power cycle is a cut, and later the power again. */
  later?: { afterMs: number; action: RigAction };
}

export type Expectation =
  /** In order: after what was expected before it, and at most `withinMs` later. */
  | { kind: 'event'; on: EventPattern; withinMs: number }
  /** Over the whole scenario. `times` 0: never; it fails as soon as there is one more. */
  | { kind: 'count'; on: EventPattern; times: number }
  /** When the scenario is over: fields of the pointer in force. */
  | { kind: 'pointer'; path: ConfigPath; node: string; fields: Readonly<Partial<ScenarioPointer>> }
  /** When the scenario is over: the image that the firmware booted last. */
  | { kind: 'image'; path: ConfigPath; node: string; image: string };

/**
 * Power cuts at random moments. Each time `from` happens, and fewer than `count` cuts were made, a moment within `spreadMs` of it is drawn;
 * the power is cut then and back after `offMs`. Where `to` comes first, or the power goes for another reason, that draw
 * is spent.
 */
export interface RandomCuts {
  node: string;
  count: number;
  from: EventPattern;
  to: EventPattern;
  spreadMs: number;
  offMs: number;
}
