/** What came of a scenario: the input of every report. */
import type { RigEvent } from './event.ts';
import type { Failure } from './failure.ts';
import type { Draw } from './random-cuts.ts';
import type { RigKind } from './rig.ts';

/** A failure, and the line of the file that it is about. */
export type PlacedFailure = Failure & { line: number };

export interface ScenarioResult {
  /** The file's name without its ending; unlike that of any other of one run. */
  id: string;
  file: string;
  name: string;
  rig: RigKind['name'];
  seed: number;
  ok: boolean;
  /** How long it took, on the rig's clock. */
  ms: number;
  /** In the file's order; empty where `ok`. */
  failures: PlacedFailure[];
  /** The rig itself could not go on, in words. */
  error: string | undefined;
  /** What was expected in order and has come. */
  met: { words: string; at: number }[];
  actions: { at: number; words: string }[];
  cuts: readonly Draw[];
  events: RigEvent[];
  /** What else tells of a failure: the end of the imager's log. */
  logs: string;
}
