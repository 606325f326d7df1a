/** What the agent's loop (core/run.ts) needs of the machine it runs on. Implemented in agent/linux. */
import type { NetworkOutcome } from './core/network.ts';
import type { Journal } from './core/state.ts';
import type { AdapterSetting } from './protocol/adapter-setting.ts';
import type { Plan, Script, StepDetail } from './protocol/messages.ts';
import type { ScriptOutput } from './protocol/output.ts';
import type { BootPointer } from './protocol/pointer/record.ts';

export interface Disks {
  /** Attaches the disks of these names, mounts the first as the root. Rejects where that cannot be done in time. */
  mountRoot(disks: readonly string[], imagers: readonly string[]): Promise<void>;
}

export interface JournalStore {
  /** What this node's disk knows of a deployment; undefined where that is nothing. Throws where it is damaged. */
  read(deployment: string): { journal: Journal; plan: Plan } | undefined;
  /** Puts plan and scripts on the disk, then the journal, each durable before the next. */
  install(plan: Plan, journal: Journal): void;
  write(journal: Journal): void;
}

/** How a script ended. */
export interface ScriptEnd {
  /** Exit code, 128 + signal number where a signal ended it. */
  code: number;
  /** It was ended at its time limit. */
  timedOut: boolean;
  /** Standard output and error as they came, at most the last OUTPUT_BYTES. */
  output: string;
}

export interface Scripts {
  /** Throws where a script is not there as it was installed. To be asked before the journal says that it runs: so far nothing has. */
  check(script: Script): void;
  /**
   * Runs an installed script to its end; `image`: the one that runs, which may be the fallback. One that cannot be started has
   * ended with code 126 or 127, as in a shell.
   */
  run(script: Script, pointer: BootPointer, image: string): Promise<ScriptEnd>;
}

/** What scripts left, on the node's disk. */
export interface OutputStore {
  /** In the place of what the script left before; durable when it returns. Throws where it cannot be kept. */
  keep(output: ScriptOutput): void;
  /** What there is of the plan's deployment, in the plan's order. What is damaged is left out: nothing depends on it. */
  kept(plan: Plan): ScriptOutput[];
}

export interface Services {
  /** Starts the disk's init and waits until its ports accept connections. Resolves with why they do not, or undefined. */
  start(services: Plan['services']): Promise<string | undefined>;
}

export interface ImagerLink {
  /** The plan for this deployment: resolves with the imager's welcome, however long that takes. */
  plan(): Promise<Plan | null>;
  /** Queues a step for the imager; it is sent again until acknowledged. */
  report(step: string, detail: StepDetail): void;
  /** Queues what a script left, among the steps. */
  output(output: ScriptOutput): void;
  /** Resolves once every step is acknowledged, or after `milliseconds`. */
  settle(milliseconds: number): Promise<void>;
}

export interface Network {
  /**
   * Sets adapters as they are to be. Where the imager does not answer then they are put back. Never rejects: what was not done is
   * said with why.
   */
  set(settings: readonly AdapterSetting[]): Promise<NetworkOutcome>;
}

export interface Pointers {
  /**
   * Writes the record where it differs from the one in force; verified by reading back. Writes nothing where the node
   * was flashed for another deployment meanwhile: what this boot has to say about the former one is of no more use.
   */
  update(pointer: BootPointer): void;
}

export interface Power {
  reboot(): void;
}

export interface Ports {
  disks: Disks;
  network: Network;
  journal: JournalStore;
  scripts: Scripts;
  outputs: OutputStore;
  services: Services;
  link: ImagerLink;
  pointers: Pointers;
  power: Power;
  /** Says a line to who is at the node, and to nobody else. */
  console(line: string): void;
  /** Seconds since the machine started. */
  uptime(): number;
}
