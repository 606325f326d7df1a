/**
 * A node whose firmware is plain U-Boot, through its prompt. Where its environment is that of firmware-stubs/uboot the pointer
 * is in the EEPROM, which its scripts `bw_read` and `bw_write` read and write, two slots; elsewhere it is in the environment
 * itself, which `saveenv` stores.
 */
import { crc32 } from '../../agent/protocol/crc32.ts';
import { type BootPointer, fieldsOf, samePointer } from '../../agent/protocol/pointer/record.ts';
import type { PointerView } from '../../agent/protocol/pointer/store.ts';
import { UBOOT_SLOT_SIZE, ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { parseUid } from '../../agent/protocol/uid.ts';
import { SerialFailure } from './failure.ts';
import type { NodeEnd } from './node-end.ts';
import { planWrite, viewOf } from './plan.ts';
import type { Identity } from './progress.ts';
import { type Task, tell, wait } from './task.ts';
import {
  BANNER,
  command,
  interruptAutoboot,
  printedVariables,
  typeChecked,
  untilQuiet,
  variable,
} from './uboot-console.ts';

/** What every command line is safe to carry: nothing that the shell would act on. */
const PLAIN = /^[A-Za-z0-9._,:-]*$/;
const RESET_MS = 10_000;
const CRC_SIZE = 4;
/** Stands for a slot with a wrong CRC-32: a block of these has one too. */
const TORN = 0x5a;
/** Blocks of 512 bytes. */
const SLOT_BLOCKS = UBOOT_SLOT_SIZE / 512;

/** Gets hold of the prompt. `waiting`: it is there already, and is left there in the end. */
export function* openUboot({ waiting }: { waiting: boolean }): Task<NodeEnd> {
  yield* waiting ? untilQuiet() : interruptAutoboot();
  const version = (yield* command('version')).output.match(/U-Boot [^\n]*/)?.[0];
  if (version === undefined)
    throw new SerialFailure('unanswered', 'there is a prompt, but not of U-Boot: it knows no "version"');
  const serial = yield* variable('serial#');
  const eeprom = (yield* variable('bw_eeprom')) !== undefined;
  if (eeprom && ((yield* variable('bw_read')) === undefined || (yield* variable('bw_write')) === undefined))
    throw new SerialFailure(
      'refused',
      "U-Boot's environment has bw_eeprom but no bw_read and bw_write: it is of an older release",
    );
  const identity: Identity = {
    via: 'uboot',
    uid: parseUid(serial ?? '') ?? parseUid(`serial:${serial ?? ''}`) ?? '',
    layout: eeprom ? ubootEnv.name : 'saveenv',
    firmware: version,
    locked: false,
  };
  const store = eeprom ? new EepromSlots() : new SavedEnvironment(waiting);
  return new UbootEnd(identity, store, waiting);
}

/** A pointer store behind U-Boot's prompt. */
interface PromptStore {
  /** Both slots as they would be in an EEPROM: the bytes themselves stay where they are. */
  read(): Task<Uint8Array>;
  /** Stores the variables `bw_...` of the environment in the slot. */
  write(slot: number): Task<void>;
}

class UbootEnd implements NodeEnd {
  readonly identity: Identity;
  readonly #store: PromptStore;
  /** Left alone in the end: it was found at its prompt, or has been reset. */
  #stays: boolean;
  #image: Uint8Array | undefined;

  constructor(identity: Identity, store: PromptStore, waiting: boolean) {
    this.identity = identity;
    this.#store = store;
    this.#stays = waiting;
  }

  *read(): Task<PointerView> {
    yield* tell({ step: 'reading', done: 0, total: 1 });
    this.#image = yield* this.#store.read();
    yield* tell({ step: 'reading', done: 1, total: 1 });
    return viewOf(ubootEnv, this.#image);
  }

  plan(fields: Omit<BootPointer, 'sequence'>): BootPointer {
    return planWrite(ubootEnv, this.#known(), fields).pointer;
  }

  *write(fields: Omit<BootPointer, 'sequence'>): Task<BootPointer> {
    const { pointer, patches } = planWrite(ubootEnv, this.#known(), fields);
    const [patch] = patches;
    if (patch === undefined) return pointer;
    const wanted = fieldsOf(pointer);
    for (const [done, [key, value]] of wanted.entries()) {
      yield* tell({ step: 'sending', done, total: wanted.length });
      if (!PLAIN.test(value)) throw new SerialFailure('refused', `${key}=${value} cannot be typed safely`);
      yield* succeeds(`setenv ${key} ${value}`.trimEnd());
    }
    // Before anything is stored: whatever was typed wrongly is in memory only.
    const typed = printedVariables((yield* command(`printenv ${keys()}`)).output);
    const wrong = wanted.find(([key, value]) => (typed.get(key) ?? '') !== value);
    if (wrong !== undefined)
      throw new SerialFailure(
        'verify',
        `U-Boot has ${wrong[0]}=${typed.get(wrong[0]) ?? ''}, not ${wrong[1]}`,
      );
    yield* this.#store.write(patch.offset / UBOOT_SLOT_SIZE);
    yield* tell({ step: 'checking', done: 0, total: 1 });
    this.#image = yield* this.#store.read();
    const found = viewOf(ubootEnv, this.#image).pointer;
    if (found === undefined || found.sequence !== pointer.sequence || !samePointer(found, pointer))
      throw new SerialFailure('verify', 'the pointer in force is not the one that was written');
    yield* tell({ step: 'checking', done: 1, total: 1 });
    return found;
  }

  *reset(): Task<void> {
    // Whatever comes of it, it is tried once: the line may be gone.
    this.#stays = true;
    if (!(yield* restart()))
      throw new SerialFailure('unanswered', 'U-Boot did not start again: switch the node off and on');
  }

  /** Autoboot that was interrupted is not taken up again: from the start, then, with an environment nobody touched. */
  *leave(): Task<void> {
    if (!this.#stays) yield* this.reset();
  }

  #known(): Uint8Array {
    if (this.#image === undefined) throw new Error('the store has not been read');
    return this.#image;
  }
}

/** The EEPROM of firmware-stubs/uboot, through the scripts that its own boot uses. */
class EepromSlots implements PromptStore {
  *read(): Task<Uint8Array> {
    const image = new Uint8Array(ubootEnv.size);
    // Blank first: what is imported is what was read now.
    yield* succeeds(`mw.b ${expanded('bw_eeprom')} 0 0x2000`);
    yield* succeeds('run bw_read');
    for (const slot of [0, 1]) {
      // Also where a name is missing from the slot; a slot with a wrong CRC-32 changes nothing.
      const imported = yield* command(`env import -c ${expanded(`bw_slot${slot}`)} 0x1000 ${keys()}`);
      if (!imported.ok) {
        if (!(yield* isBlank(slot))) image.fill(TORN, slot * UBOOT_SLOT_SIZE, (slot + 1) * UBOOT_SLOT_SIZE);
        continue;
      }
      const { output } = yield* command(`printenv ${keys()}`);
      image.set(environmentBlock(printedVariables(output)), slot * UBOOT_SLOT_SIZE);
    }
    return image;
  }

  *write(slot: number): Task<void> {
    yield* succeeds(`env export -c -s 0x1000 ${expanded('bw_eeprom')} ${keys()}`);
    yield* succeeds(`setenv bw_to ${(slot * SLOT_BLOCKS).toString(16)}`);
    yield* succeeds('run bw_write');
  }
}

/** As it left the factory, as far as its first eight bytes tell: a CRC-32 and a name. */
function* isBlank(slot: number): Task<boolean> {
  const { output } = yield* command(`md.l ${expanded(`bw_slot${slot}`)} 2`);
  return /: (?:00000000 00000000|ffffffff ffffffff) /.test(output);
}

/** The environment itself: one record, and U-Boot's own care for it where it keeps two copies. */
class SavedEnvironment implements PromptStore {
  /** Whether memory may hold something else than what is stored. */
  #stale: boolean;

  /** `waiting`: at the prompt already, where a former hand, or a flash that failed, may have left its variables. */
  constructor(waiting: boolean) {
    this.#stale = waiting;
  }

  *read(): Task<Uint8Array> {
    // What was stored shows after a start alone.
    if (this.#stale) {
      if (!(yield* restart()))
        throw new SerialFailure('verify', 'U-Boot did not start again: what it stored is not known');
      yield* interruptAutoboot();
      this.#stale = false;
    }
    const image = new Uint8Array(ubootEnv.size);
    const variables = printedVariables((yield* command(`printenv ${keys()}`)).output);
    if (variables.size > 0) image.set(environmentBlock(variables));
    return image;
  }

  *write(): Task<void> {
    this.#stale = true;
    const { ok, output } = yield* command('saveenv', 60_000);
    if (!ok) throw new SerialFailure('verify', `U-Boot could not save its environment: ${lastLine(output)}`);
  }
}

/** Gives whether it started. */
function* restart(): Task<boolean> {
  yield* tell({ step: 'resetting' });
  yield* typeChecked('reset');
  return (yield* wait({ type: '\r', until: [BANNER], withinMs: RESET_MS })).kind === 'match';
}

function* succeeds(line: string): Task<void> {
  const { ok, output } = yield* command(line);
  if (!ok) throw new SerialFailure('refused', `U-Boot failed at "${line}": ${lastLine(output)}`);
}

/** What U-Boot's shell replaces by the variable's value. */
function expanded(name: string): string {
  return `$\{${name}}`;
}

function keys(): string {
  return fieldsOf({
    ...{ sequence: 0, image: '', disks: [], imagers: [], cluster: '', deployment: '' },
    ...{ phase: 'ready', attempts: 0, fallback: '' },
  })
    .map(([key]) => key)
    .join(' ');
}

/** A slot with these variables, in the form of agent/protocol/pointer/uboot-env.ts. */
function environmentBlock(variables: ReadonlyMap<string, string>): Uint8Array {
  const block = new Uint8Array(UBOOT_SLOT_SIZE);
  const text = [...variables].map(([key, value]) => `${key}=${value}\0`).join('');
  block.set(new TextEncoder().encode(text).subarray(0, UBOOT_SLOT_SIZE - CRC_SIZE - 1), CRC_SIZE);
  new DataView(block.buffer).setUint32(0, crc32(block.subarray(CRC_SIZE)), true);
  return block;
}

function lastLine(output: string): string {
  return output.trim().split('\n').at(-1) ?? '';
}
