/** What the serial verbs share: ports, configuration, audit trail, how results are printed and failures told apart. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { ImagerSettings } from '../model/config.ts';
import { AuditTrail } from '../serial/audit.ts';
import { SerialFailure, type SerialFailureKind } from '../serial/failure.ts';
import { listPorts } from '../serial/ports.ts';
import type { Identity } from '../serial/progress.ts';
import { onPorts, type PortResult } from '../serial/rack.ts';
import { sharedDisk } from '../serial/target.ts';
import type { LineState, Task } from '../serial/task.ts';
import type { Target } from '../serial/work.ts';
import { Context } from './context.ts';
import { SerialError, UsageError } from './failure.ts';
import { LiveTable } from './serial-table.ts';
import { counted, table } from './table.ts';

const CODES: Record<SerialFailureKind, number> = {
  refused: 1,
  failed: 1,
  port: 4,
  'in-use': 5,
  unanswered: 6,
  garbled: 7,
  pulled: 8,
  locked: 9,
  verify: 10,
};

export const SERIAL_EXIT_CODES = `Exit codes of these verbs, beside the others (several ports that failed in several ways: 1):
   4  no such port, or it cannot be opened
   5  the port is in use
   6  nothing answered
   7  what came is neither text nor frames: wrong baud rate
   8  the cable was pulled, or the node fell silent
   9  the node is locked
  10  the boot pointer is not what it should be`;

export interface PortOptions {
  port?: string[];
  all?: boolean;
  baud: number;
  wait: number;
  state?: string;
}

export class SerialContext {
  readonly audit: AuditTrail;
  readonly reach: { withinMs: number; uboot: boolean };
  readonly #context: Context;
  readonly #configured: boolean;
  readonly #ports: readonly string[];
  readonly #baud: number;

  /** Throws UsageError where no port is named. */
  constructor(command: Command, { port, all, baud, wait, state }: PortOptions) {
    this.#context = new Context(command);
    // A laptop at a rack may have no configuration; one that is named must be there.
    const named = command.optsWithGlobals<{ config?: string }>().config ?? process.env.IMAGER_CONFIG;
    this.#configured = named !== undefined || existsSync(this.#context.configFile);
    this.#ports = [...new Set(port ?? (all === true ? listPorts().map(({ path }) => path) : []))];
    if (port === undefined && all !== true)
      throw new UsageError('name a port with --port, or all with --all');
    if (all === true && this.#ports.length === 0)
      throw new SerialError(CODES.port, 'this machine has no serial port');
    this.#baud = baud;
    this.reach = { withinMs: wait * 1000, uboot: true };
    this.audit = new AuditTrail(state ?? this.#config?.state ?? userState());
  }

  /** Runs a task on each port, with its progress on standard error. */
  async onPorts<T>(task: (port: string, line: LineState) => Task<T>): Promise<PortResult<T>[]> {
    const live = new LiveTable(this.#ports, process.stderr, () => performance.now());
    try {
      return await onPorts({
        ...{ ports: this.#ports, baud: this.#baud, task, audit: this.audit },
        tell: (port, progress) => live.progress(port, progress),
        ended: (result) => live.ended(result.port, result.ok ? 'done' : `failed: ${result.failure.message}`),
      });
    } finally {
      live.close();
    }
  }

  print<T>(value: T, text: (value: T) => string): void {
    this.#context.print(value, text);
  }

  /** Prints every result; throws SerialError where one is a failure. */
  report<T extends { identity: Identity }>(
    results: readonly PortResult<T>[],
    words: (value: T) => string,
  ): void {
    const only = results.length === 1 ? results[0] : undefined;
    if (this.#context.json || only === undefined)
      this.print(results.map(jsonOf), () => summary(results, this.nameOf, words));
    else if (only.ok) this.print(only.value, words);
    const failed = results.flatMap((result) => (result.ok ? [] : [result]));
    if (failed.length === 0) return;
    const codes = new Set(failed.map(({ failure }) => CODES[failure.kind]));
    const why = failed.map(({ port, failure }) => `${port}: ${failure.message}`).join('\n  ');
    const head =
      results.length === 1 ? '' : `${failed.length} of ${counted(results.length, 'port')} failed\n  `;
    throw new SerialError(codes.size === 1 ? [...codes][0]! : 1, `${head}${why}`);
  }

  /** The configuration's name for the node with this UID. */
  readonly nameOf = (uid: string): string | undefined =>
    this.#config?.nodes.find((node) => node.uid === uid)?.name;

  /**
   * `named` completed from the configuration. Throws UsageError where that is not there, and where nodes would share a disk.
   */
  wholeTarget(named: Partial<Target>): Target {
    const config = this.#config;
    const imagers = named.imagers ?? (config === undefined ? undefined : [config.network.address]);
    const cluster = named.cluster ?? config?.cluster;
    if (imagers === undefined || cluster === undefined)
      throw new UsageError(
        `there is no configuration file ${this.#context.configFile}: name --imager and --cluster, or the file`,
      );
    const target = { image: '', disks: [], ...named, imagers, cluster };
    const shared = sharedDisk(target, this.#ports.length);
    if (shared !== undefined)
      throw new UsageError(
        `disk ${shared} for ${this.#ports.length} nodes: name it after each, "{node}-root"`,
      );
    return target;
  }

  /** What was last flashed from here to the node with this UID; empty where nothing is on record. */
  flashedTarget(uid: string): Partial<Target> {
    const last = this.audit.lastVerified(uid);
    if (last === undefined) return {};
    const { image, disks, imagers, cluster } = last;
    return { image, disks, imagers, cluster };
  }

  /** Throws ConfigError where there is one with faults. */
  get #config(): ImagerSettings | undefined {
    return this.#configured ? this.#context.config : undefined;
  }
}

/** Runs `work`; a SerialFailure becomes the error with its exit code. */
export async function withExitCodes(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof SerialFailure) throw new SerialError(CODES[error.kind], error.message);
    throw error;
  }
}

function userState(): string {
  return join(process.env.XDG_STATE_HOME || join(homedir(), '.local/state'), 'bootwright');
}

function jsonOf<T extends object>(result: PortResult<T>): object {
  if (result.ok) return { port: result.port, ok: true, ...result.value };
  const { kind, message } = result.failure;
  return { port: result.port, ok: false, kind, why: message };
}

/** One line a port; why one failed is told on standard error. */
function summary<T extends { identity: Identity }>(
  results: readonly PortResult<T>[],
  nameOf: (uid: string) => string | undefined,
  words: (value: T) => string,
): string {
  return table(
    ['port', 'node', 'result'],
    results.map((result) => {
      if (!result.ok) return [result.port, '', 'failed'];
      const { uid } = result.value.identity;
      return [result.port, nameOf(uid) ?? uid, words(result.value).split('\n')[0] ?? ''];
    }),
  );
}
