/**
 * The double reboot (seed 001) on one node: states, inputs and effects. next.ts moves between them, run.ts performs
 * the effects; what outlives a power cut is the Journal, on the node's own disk.
 */
import type { AdapterSetting } from '../protocol/adapter-setting.ts';
import type { Plan, Script, StepDetail } from '../protocol/messages.ts';
import type { BootPointer } from '../protocol/pointer/record.ts';
import type { NetworkOutcome } from './network.ts';

/**
 * How far a deployment came on this node.
 * `installed`: its configuration is on the disk. `configured`: stage 1 has run. `serving`: services have run once.
 * `ready`: stage 2 has run.
 */
export type Phase = 'installed' | 'configured' | 'serving' | 'ready';

export interface Journal {
  deployment: string;
  phase: Phase;
  /** Kernel boot id of the boot in which this phase was entered: a later boot has another one. */
  bootId: string;
  /** Names of the `once` scripts that ended well: they never run again. */
  done: string[];
  /** Names of the scripts whose last run failed. */
  failed: string[];
  /** Name of the script that was begun and has not ended: where the power went, it was cut short. */
  running?: string;
}

/** What holds for the whole of one boot. */
export interface Boot {
  bootId: string;
  /** What the firmware obeyed; undefined where the store holds no pointer. */
  pointer: BootPointer | undefined;
  /** The image that runs: the pointer's, or its fallback. */
  bootedImage: string;
  /** True where the firmware counts attempts down and takes the fallback by itself. */
  firmwareCounts: boolean;
}

/** One thing left to do for a deployment. */
export type Todo =
  | { do: 'reboot'; number: 1 | 2 }
  | { do: 'network'; adapters: readonly AdapterSetting[] }
  | { do: 'script'; script: Script }
  | { do: 'services' }
  | { do: 'ready' };

export type State =
  /** Nothing is known yet. */
  | { at: 'starting' }
  /** Disks are being attached, the root disk mounted. */
  | { at: 'mounting'; boot: Boot; pointer: BootPointer }
  /** The disk knows nothing of this deployment: the imager is asked what to do. */
  | { at: 'asking'; boot: Boot; pointer: BootPointer }
  /** The plan is being written to the disk. */
  | { at: 'installing'; boot: Boot; pointer: BootPointer; plan: Plan; journal: Journal }
  /** The first of `todo` is being done. */
  | { at: 'working'; boot: Boot; pointer: BootPointer; plan: Plan; journal: Journal; todo: Todo[] }
  /**
   * The reboot has been asked for; nothing more is done in this boot. `why`: where that comes of a failure. `despite`: what decides
   * on the reboot where what comes before it cannot be done.
   */
  | { at: 'rebooting'; why?: string; despite?: { boot: Boot; pointer: BootPointer; fallBack: boolean } }
  /** All is done; services run. */
  | { at: 'ready' }
  /** The node stays up for investigation. */
  | { at: 'failed'; why: string };

export type Input =
  | { kind: 'started'; boot: Boot }
  /** `stored`: what the disk knows of the pointer's deployment. */
  | { kind: 'mounted'; stored: { journal: Journal; plan: Plan } | undefined }
  | { kind: 'plan'; plan: Plan | null }
  | { kind: 'installed' }
  /** The first of `todo`, the adapters, is done as far as it could be. */
  | { kind: 'networked'; outcome: NetworkOutcome }
  /** The first of `todo` is done. */
  | { kind: 'did'; detail: StepDetail }
  /** The first of `todo`, a script, has ended, and not well. */
  | { kind: 'scriptFailed'; why: string }
  | { kind: 'failed'; why: string };

/** Performed in order. Those marked * end with an input of their own; at most one of a list does. */
export type Effect =
  /** Tell console and imager. */
  | { do: 'report'; step: string; detail: StepDetail }
  /** * Attach the pointer's disks, mount the first as root, look up its deployment there: `mounted`. */
  | { do: 'mount'; pointer: BootPointer }
  /** * Ask the imager: `plan`. */
  | { do: 'ask' }
  /** * Put plan, scripts and journal on the disk: `installed`. */
  | { do: 'install'; plan: Plan; journal: Journal }
  /** Make the journal durable. */
  | { do: 'journal'; journal: Journal }
  /** Tell the imager what scripts of the plan left in earlier boots: it may have been away. */
  | { do: 'outputs'; plan: Plan }
  /** * Set adapters as they are to be, or leave them as they were: `networked`. */
  | { do: 'network'; adapters: readonly AdapterSetting[] }
  /** Look whether a script may run. */
  | { do: 'check'; script: Script }
  /** * Run a user-configuration script and keep what it leaves: `did` or `scriptFailed`. */
  | { do: 'script'; script: Script; pointer: BootPointer; boot: Pick<Boot, 'bootId' | 'bootedImage'> }
  /** * Start the disk's init and wait for its ports: `did` or `failed`. */
  | { do: 'services'; services: Plan['services'] }
  /** Write the boot pointer where it differs. */
  | { do: 'point'; pointer: BootPointer }
  /** Restart the node. */
  | { do: 'reboot' };
