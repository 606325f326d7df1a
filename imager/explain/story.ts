/** What the rules look at: one boot, taken apart. Pure. */
import { type Mark, type ProgramOptions, programOf, splitBoots } from '../journal/attempts.ts';
import { type Architecture, architectureOf } from '../model/architectures.ts';
import type {
  Answer,
  ArpQuestion,
  Ask,
  NodeWord,
  Observation,
  Transfer,
  Unreachable,
} from './observation.ts';

export interface Story {
  /** The node's name, or its MAC. */
  who: string;
  source: 'journal' | 'capture';
  /** Who keeps the journal; undefined for a capture. */
  imager: string | undefined;
  /** Milliseconds: of its first observation, and of the end of the history. */
  startedAt: number;
  endAt: number;
  /** Another boot has begun since: what is open stays so. */
  over: boolean;
  /** What the rules judge: what the program that came farthest did. */
  asks: Ask[];
  answers: Answer[];
  transfers: Transfer[];
  questions: ArpQuestion[];
  unreachable: Unreachable[];
  agent: NodeWord[];
  disk: NodeWord[];
  /** All of the boot, earlier programs included. */
  boot: Observation[];
  /** What the program calls itself. */
  program: ProgramOptions;
  architecture: Architecture | undefined;
  /** True for iPXE and its like, which run scripts and kernels on any architecture. */
  isLoader: boolean;
  /** The server whose offer it took. */
  chosen: string | undefined;
  /** What it was told: by that server, with what a boot server beside it adds. */
  told: Told;
  /** It was given an address: acknowledged, or heard to take it of the server beside which the imager tells boot files. */
  hasAddress: boolean;
  /** Files there are, to find what a missing one may have meant. */
  knownFiles: readonly string[];
  /** Names of the boot table; undefined where nothing is known of it. */
  images: readonly string[] | undefined;
  /** What the imager itself says is wrong with what it serves. */
  problems: readonly string[];
}

export interface Told {
  address?: string;
  subnet?: string;
  router?: string;
  file?: string;
  /** Who has that file; of a menu, whom its items are asked of. */
  nextServer?: string;
  /** Items of the menu it is to show, where none has been answered about and no file asked for. */
  menu?: number;
  /** The answer that said so. */
  by?: Answer;
}

/** Options that name what to boot: 66, 67, TFTP servers (RFC 5859), PXELINUX (RFC 5071). */
const BOOT_OPTIONS: readonly number[] = [66, 67, 150, 208, 209, 210, 211];
const HARDLY_BEGUN_MS = 15_000;
/** What a boot that has its address and has asked for nothing yet comes to: see progress(). */
const HAS_ADDRESS = 4;
/** The agent's last words where all is well. */
const ENDS: readonly string[] = ['ready', 'supervise', 'reboot'];

export interface StoryOptions {
  who: string;
  source: 'journal' | 'capture';
  imager?: string;
  endAt: number;
  over?: boolean;
  knownFiles?: readonly string[];
  images?: readonly string[];
  problems?: readonly string[];
}

/**
 * The last of a client's boots; where that has hardly begun, the one before it that failed farther on, with the time at
 * which the last one began. Firmware that begins again and again is explained by what it failed at.
 */
export function lastBoot(
  observations: readonly Observation[],
  endAt: number,
): { boot: Observation[]; nextAt?: number } {
  const boots = splitBoots(observations, markOf);
  const [before, last] = [boots.at(-2), boots.at(-1) ?? []];
  const [first] = last;
  // However late, the system on the node's own disk belongs to the boot that went there.
  const began = boots.findLastIndex((boot) => !isSystemAlone(boot));
  if (began >= 0 && began < boots.length - 1) return { boot: boots.slice(began).flat() };
  if (before === undefined || first === undefined || first.kind === 'power') return { boot: last };
  const hardlyBegun = endAt - first.at < HARDLY_BEGUN_MS && progress(last) <= HAS_ADDRESS;
  return hardlyBegun && progress(before) > progress(last) && !isPast(before)
    ? { boot: before, nextAt: first.at }
    : { boot: last };
}

/** A boot whose end was meant: what comes after it is another one. */
function isPast(boot: readonly Observation[]): boolean {
  return boot.some((each) => each.kind === 'agent' && ENDS.includes(each.step));
}

/** `boot`: the observations of one boot, oldest first, at least one. */
export function storyOf(boot: readonly Observation[], options: StoryOptions): Story {
  const part = stageOf(boot);
  const asks = part.filter((each) => each.kind === 'ask');
  const transfers = part.filter((each) => each.kind === 'transfer');
  const answers = part.filter((each) => each.kind === 'answer');
  const program = asks[0]?.options ?? {};
  const chosen = chosenServer(asks, answers);
  return {
    who: options.who,
    source: options.source,
    imager: options.imager,
    startedAt: boot[0]!.at,
    endAt: options.endAt,
    over: options.over === true,
    asks,
    answers,
    transfers,
    questions: part.filter((each) => each.kind === 'arp'),
    unreachable: part.filter((each) => each.kind === 'unreachable'),
    agent: part.filter((each): each is NodeWord => each.kind === 'agent'),
    disk: part.filter((each): each is NodeWord => each.kind === 'disk'),
    boot: [...boot],
    program,
    architecture: program.arch === undefined ? undefined : architectureOf(program.arch),
    isLoader: isLoader(program),
    chosen,
    told: toldBy(answers, chosen, transfers.length > 0),
    hasAddress: answers.some(({ type }) => type === 'ack') || takesElsewhere(asks, answers),
    knownFiles: options.knownFiles ?? [],
    images: options.images,
    problems: options.problems ?? [],
  };
}

/**
 * What one program did: of those that firmware tried one after the other (network cards, PXE, then HTTP boot) the one that
 * came farthest, the last of equals; but where one was loaded and runs, what was before it is done. The system on the
 * node's own disk is judged where nothing else was heard.
 */
function stageOf(boot: readonly Observation[]): Observation[] {
  let stages: Observation[][] = [[]];
  let current: string | undefined;
  for (const each of boot) {
    if (each.kind === 'ask' && each.type === 'discover') {
      const { program } = programOf(each.options);
      if (current !== undefined && program !== current) {
        const loaded = stages.at(-1)!.some((one) => one.kind === 'transfer' && one.end === 'done');
        if (isLoader(each.options) && loaded) stages = [];
        stages.push([]);
      }
      current = program;
    }
    stages.at(-1)!.push(each);
  }
  const others = stages.filter((stage) => !isSystemAlone(stage));
  return (others.length === 0 ? stages : others).reduce((best, stage) =>
    progress(stage) >= progress(best) ? stage : best,
  );
}

/** True where a running system does nothing but ask for its address. */
function isSystemAlone(part: readonly Observation[]): boolean {
  return (
    part[0]?.kind === 'ask' && part.every((each) => (each.kind === 'ask' ? isSystem(each) : isLink(each)))
  );
}

/** What comes with any address. */
function isLink({ kind }: Observation): boolean {
  return kind === 'answer' || kind === 'arp' || kind === 'unreachable';
}

/** True of a running system's DHCP client, which asks for nothing that boots (RFC 2132 section 9.8: option 55). */
export function isSystem({ type, options, asked }: Ask): boolean {
  if (type === 'bootp' || asked.length === 0 || programOf(options).firmware || isLoader(options))
    return false;
  return !asked.some((code) => BOOT_OPTIONS.includes(code));
}

/** True where a boot server has answered about an item of its menu since `ask`. */
export function isAnswered(ask: Ask, boot: readonly Observation[]): boolean {
  const later = boot.slice(boot.indexOf(ask) + 1);
  return later.some((each) => each.kind === 'answer' && (each.item ?? each.menu) !== undefined);
}

function isLoader({ userClass, vendorClass = '' }: ProgramOptions): boolean {
  return userClass === 'iPXE' || vendorClass.startsWith('U-Boot');
}

/** How far a program came, for comparisons. */
function progress(stage: readonly Observation[]): number {
  const of = (each: Observation): number => {
    switch (each.kind) {
      case 'ask':
        return each.type === 'discover' ? 1 : 3;
      case 'answer':
        return each.type === 'ack' ? HAS_ADDRESS : 2;
      case 'transfer':
        return each.end === 'unanswered' || each.end === 'waiting' ? 6 : each.end === 'refused' ? 7 : 8;
      case 'unreachable':
      case 'arp':
        return 5;
      case 'agent':
      case 'disk':
        return 9;
      case 'power':
      case 'cut':
        return 0;
    }
  };
  return stage.reduce((most, each) => Math.max(most, of(each)), 0);
}

function chosenServer(asks: readonly Ask[], answers: readonly Answer[]): string | undefined {
  const named = asks.findLast(({ type, server }) => type === 'request' && server !== undefined)?.server;
  return named ?? answers.findLast(({ type, address }) => type === 'ack' && address !== undefined)?.server;
}

function takesElsewhere(asks: readonly Ask[], answers: readonly Answer[]): boolean {
  const taken = asks.some(({ type, unanswered }) => type === 'request' && unanswered === 'other-server');
  return taken && answers.length > 0 && answers.every(({ address }) => address === undefined);
}

function toldBy(answers: readonly Answer[], chosen: string | undefined, loads: boolean): Told {
  const good = answers.filter(({ type }) => type !== 'nak');
  const own = good.filter(({ server, address }) => address !== undefined && (chosen ?? server) === server);
  const last = own.findLast(({ type }) => type === 'ack') ?? own.at(-1);
  // A boot server beside the DHCP server speaks without giving an address.
  const withFile = own.findLast(({ file }) => file !== undefined);
  const beside = good.findLast(({ address, file }) => address === undefined && file !== undefined);
  const picked = good.findLast(({ item }) => item !== undefined);
  const shown = good.findLast(
    ({ type, address, menu }) => (type === 'ack' || address === undefined) && menu !== undefined,
  );
  if (!loads && shown !== undefined && (picked?.at ?? 0) <= shown.at)
    // The file beside a menu is for who shows none.
    return { ...leaseOf(last), nextServer: shown.server, menu: shown.menu!, by: shown };
  const boot = picked ?? withFile ?? beside;
  return {
    ...leaseOf(last),
    ...(boot?.file === undefined ? {} : { file: boot.file }),
    ...(boot?.nextServer === undefined ? {} : { nextServer: boot.nextServer }),
    ...((boot ?? last) === undefined ? {} : { by: (boot ?? last)! }),
  };
}

function leaseOf(answer: Answer | undefined): Pick<Told, 'address' | 'subnet' | 'router'> {
  const { address, subnet, router } = answer ?? {};
  return {
    ...(address === undefined ? {} : { address }),
    ...(subnet === undefined ? {} : { subnet }),
    ...(router === undefined ? {} : { router }),
  };
}

function markOf(each: Observation): Mark {
  const { at, kind } = each;
  switch (kind) {
    case 'ask':
      return each.type === 'discover' || each.type === 'bootp'
        ? { at, ...programOf(each.options), phase: 'dhcp' }
        : { at };
    case 'answer':
      return each.type === 'ack' ? { at, phase: 'dhcp' } : { at };
    case 'transfer':
      return { at, phase: 'files' };
    case 'agent':
      return { at, phase: each.step === 'ready' ? 'ready' : 'agent' };
    case 'disk':
      return { at, phase: 'disk' };
    case 'power':
      return each.action === 'off' ? { at } : { at, power: true, phase: 'power' };
    default:
      return { at };
  }
}
