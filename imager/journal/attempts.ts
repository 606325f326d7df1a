/** From what was seen of a node to its attempts to boot. Pure. */
import type { RecordedEvent } from './event.ts';
import { isTransferEnd, OpenTransfers } from './open-transfers.ts';
import { supervisedWord } from './supervised.ts';

/** How far a boot came, in order. */
export const PHASES = ['power', 'dhcp', 'files', 'agent', 'disk', 'ready'] as const;
export type Phase = (typeof PHASES)[number];

/**
 * `supervised`: an agent speaks for a system that is up. `rebooted`: the agent restarted the node on purpose. `stopped`: nothing
 * more was heard, or it began anew, before `ready`.
 */
export type Outcome = 'ready' | 'supervised' | 'rebooted' | 'in-progress' | 'stopped';

export interface Attempt {
  /** Milliseconds since the epoch: the first and the last event. */
  startedAt: number;
  lastAt: number;
  phase: Phase;
  outcome: Outcome;
  /** Oldest first; of a node that tries for hours the first and the last. */
  events: RecordedEvent[];
  /** Events left out in the middle. */
  omitted: number;
}

/** What is known of the boots of a node or a stranger. */
export interface BootsView {
  who: string;
  /** Its name, where the configuration has it. */
  node: string | null;
  /** Oldest first. */
  attempts: Attempt[];
}

/** What splitting a history into boots needs to know of each item. */
export interface Mark {
  /** Milliseconds. */
  at: number;
  /** Of a client's first words: which of a node's programs speaks (its boot ROM, the loader it fetched, ...). */
  program?: string;
  /** True where that program is none of the running system's. */
  firmware?: boolean;
  /** Of switching power on: a boot begins here whatever was before. */
  power?: boolean;
  phase?: Phase;
}

/** Firmware leaves up to 32 s between its DISCOVERs (PXE specification 2.1, section 3.1); past this it is another boot. */
export const SILENCE_MS = 60_000;
/** A boot has a handful; the names are the client's, and past this many the oldest is forgotten. */
const MAX_PROGRAMS = 32;
/** Servers test themselves for minutes between power-on and their first packet. */
const POWER_ON_MS = 600_000;
/** Events of an attempt told: at either end. */
export const END_EVENTS = 200;
/** A boot that says nothing for so long has stopped, or its end was not seen. */
export const QUIET_MS = 30_000;

/**
 * Tells where a boot begins in what is seen of one node. One boot asks for an address several times: boot ROM, loader,
 * kernel. So a boot begins with a program's DISCOVER where there was silence, or where the same program had already come
 * past DHCP, or the kernel had run.
 */
export class BootSplitter {
  /** Programs that have spoken in this boot; true where an answer or more came after. */
  #programs = new Map<string, boolean>();
  #phase: Phase | undefined;
  #last: number | undefined;

  /** Takes the next thing seen; true where a boot begins with it. */
  begins(mark: Mark): boolean {
    const { at, program, phase } = mark;
    const quiet = this.#last === undefined ? 0 : at - this.#last;
    const silence = quiet > (this.#phase === 'power' ? POWER_ON_MS : SILENCE_MS);
    // Once the kernel ran, the system's own DHCP client asks as well.
    const asks = program !== undefined && (mark.firmware === true || !ranKernel(this.#phase));
    const again = asks && (silence || this.#programs.get(program) === true || ranKernel(this.#phase));
    const begins = this.#last === undefined || again || mark.power === true;
    if (begins) {
      this.#programs = new Map();
      this.#phase = undefined;
    }
    if (program !== undefined) this.#speaks(program);
    else if (phase !== undefined && phase !== 'power')
      for (const name of this.#programs.keys()) this.#programs.set(name, true);
    this.#phase = later(this.#phase, phase);
    this.#last = at;
    return begins;
  }

  #speaks(program: string): void {
    this.#programs.set(program, this.#programs.get(program) ?? false);
    const [oldest] = this.#programs.keys();
    if (this.#programs.size > MAX_PROGRAMS && oldest !== undefined) this.#programs.delete(oldest);
  }
}

/** Splits a history, oldest first, into boots. */
export function splitBoots<T>(items: readonly T[], markOf: (item: T) => Mark): T[][] {
  const splitter = new BootSplitter();
  const boots: T[][] = [];
  for (const item of items) {
    if (splitter.begins(markOf(item))) boots.push([]);
    boots.at(-1)!.push(item);
  }
  return boots;
}

function ranKernel(phase: Phase | undefined): boolean {
  return phase === 'agent' || phase === 'disk' || phase === 'ready';
}

function later(a: Phase | undefined, b: Phase | undefined): Phase | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return PHASES.indexOf(a) >= PHASES.indexOf(b) ? a : b;
}

/**
 * The attempts in a node's events, oldest first. Milliseconds since the epoch: `now`, and when the imager `started`,
 * since transfers that an earlier one began ended with it.
 */
export function attemptsOf(
  events: readonly RecordedEvent[],
  now: number,
  started = Number.NEGATIVE_INFINITY,
): Attempt[] {
  const boots = withEnds(splitBoots(events, markOfEvent));
  return boots.map((boot, index) => {
    const phase = boot.map((event) => markOfEvent(event).phase).reduce(later) ?? 'power';
    const lastAt = boot.at(-1)!.at;
    const latest = index === boots.length - 1;
    const alive = latest && (now - lastAt < QUIET_MS || (lastAt >= started && isLoading(boot)));
    return {
      startedAt: boot[0]!.at,
      lastAt,
      phase,
      outcome: outcomeOf(boot, phase, alive),
      events:
        boot.length > 2 * END_EVENTS ? [...boot.slice(0, END_EVENTS), ...boot.slice(-END_EVENTS)] : boot,
      omitted: Math.max(0, boot.length - 2 * END_EVENTS),
    };
  });
}

/** The end of a transfer goes with its start: it may be noticed when the next boot has begun. */
function withEnds(boots: readonly RecordedEvent[][]): RecordedEvent[][] {
  const open = new OpenTransfers<RecordedEvent[]>();
  return boots.map((boot) => {
    const own: RecordedEvent[] = [];
    for (const event of boot) {
      const begun = isTransferEnd(event) ? open.end(event) : undefined;
      (begun ?? own).push(event);
      if (event.step === 'transfer-start') open.begin(event, own);
    }
    return own;
  });
}

function outcomeOf(boot: readonly RecordedEvent[], phase: Phase, alive: boolean): Outcome {
  if (phase === 'ready') return 'ready';
  const words = boot.filter(({ component }) => component === 'agent');
  if (supervisedWord(words) !== undefined) return 'supervised';
  const steps = words.map(({ step }) => step);
  if (steps.includes('failed')) return 'stopped';
  if (['reboot', 'retry', 'fall-back'].some((step) => steps.includes(step))) return 'rebooted';
  return alive ? 'in-progress' : 'stopped';
}

/** A transfer that has begun is followed by its end, however slow the client is. */
function isLoading(boot: readonly RecordedEvent[]): boolean {
  return boot.at(-1)?.step === 'transfer-start';
}

/** What an event says of where its node is. */
export function markOfEvent(event: RecordedEvent): Mark {
  const { at, component, step, reason } = event;
  if (isEnd(event) || isTransferEnd(event)) return { at };
  switch (component) {
    case 'imager':
      return step === 'power' && event.detail?.action !== 'off'
        ? { at, power: true, phase: 'power' }
        : { at };
    case 'dhcp': {
      if (step === 'discover' || step === 'bootp')
        return { at, ...programOf(optionsOf(event)), phase: 'dhcp' };
      // An offer is not yet past: firmware that takes none asks again and again in the same boot.
      return step === 'ack' && reason === undefined ? { at, phase: 'dhcp' } : { at };
    }
    case 'tftp':
    case 'http':
      return { at, phase: 'files' };
    case 'agent':
      return { at, phase: step === 'ready' ? 'ready' : 'agent' };
    case 'nbd':
      return { at, phase: 'disk' };
    default:
      return { at };
  }
}

/** The end of a connection is noticed late, often when the next boot has begun: it says nothing of how far that came. */
export function isEnd({ component, step }: RecordedEvent): boolean {
  return (component === 'agent' && step === 'disconnect') || (component === 'nbd' && step === 'detach');
}

/** Options 93, 60 and 77 of a client: what it calls itself. */
export interface ProgramOptions {
  arch?: number;
  vendorClass?: string;
  userClass?: string;
}

export function optionsOf({ detail = {} }: RecordedEvent): ProgramOptions {
  return {
    ...(typeof detail.arch === 'number' ? { arch: detail.arch } : {}),
    ...(typeof detail.vendorClass === 'string' ? { vendorClass: detail.vendorClass } : {}),
    ...(typeof detail.userClass === 'string' ? { userClass: detail.userClass } : {}),
  };
}

/** A name for the program that asks for an address, and whether it is one of the firmware's. */
export function programOf({ arch, vendorClass = '', userClass = '' }: ProgramOptions): {
  program: string;
  firmware: boolean;
} {
  const program = `${vendorClass.split(':')[0]} ${arch ?? ''} ${userClass}`;
  return { program, firmware: arch !== undefined || /^(?:PXE|HTTP)Client|^U-Boot/.test(vendorClass) };
}
