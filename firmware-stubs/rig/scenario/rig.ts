/**
 * What a scenario needs of a rig, real or simulated: it is asked for the next thing that happens, and told what to do.
 * The engine (engine.ts) and its reports know no more of it. Times are milliseconds since the scenario began, on the rig's own
 * clock.
 */
import type { BootPointer } from '../../../agent/protocol/pointer/record.ts';
import type { ConfigPath } from '../../../imager/model/fault.ts';
import type { RigAction } from './action.ts';
import type { RigEvent } from './event.ts';
import type { Scenario } from './scenario.ts';

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
