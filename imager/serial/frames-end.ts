/** A node that speaks the serial protocol: its store is read and written in pieces that fit the line. */
import { crc32 } from '../../agent/protocol/crc32.ts';
import { eepromLayout } from '../../agent/protocol/pointer/at24.ts';
import { ipxeScript } from '../../agent/protocol/pointer/ipxe-script.ts';
import type { Patch, PointerLayout } from '../../agent/protocol/pointer/layout.ts';
import { type BootPointer, samePointer } from '../../agent/protocol/pointer/record.ts';
import { LARGEST_SLOT, slotPair } from '../../agent/protocol/pointer/slot-pair.ts';
import type { PointerView } from '../../agent/protocol/pointer/store.ts';
import { ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import {
  SERIAL_VERSION,
  type SerialAnswer,
  type SerialRequest,
} from '../../agent/protocol/serial/operations.ts';
import { expandRun, runAt } from '../../agent/protocol/serial/run.ts';
import { SerialFailure } from './failure.ts';
import type { NodeEnd } from './node-end.ts';
import { planWrite, viewOf } from './plan.ts';
import type { Identity } from './progress.ts';
import { type LineState, type Task, tell, wait } from './task.ts';

export type Hello = Extract<SerialAnswer, { op: 'hello' }>;

/** A piece is asked for so often before a smaller one is tried. */
const TRIES_A_PIECE = 2;
/** No line that is still there loses as many: with one byte in a hundred wrong it is two in five. */
const MOST_TRIES = 30;
/** Of 256 characters or so. */
const MOST_LOG_PIECES = 1000;
/** How often a node may be reset in the middle of our work. */
const RESTARTS = 3;

/** The node was reset: its memory is gone, its store as it was. */
class Restarted extends Error {}

export class FramesEnd implements NodeEnd {
  readonly identity: Identity;
  readonly #hello: Hello;
  readonly #layout: PointerLayout;
  readonly #line: LineState;
  #image: Uint8Array | undefined;

  /** Throws SerialFailure where the store's layout is none that is known here. */
  constructor(hello: Hello, line: LineState) {
    const layout = layoutOf(hello);
    if (layout === undefined)
      throw new SerialFailure('refused', `its pointer store has a layout unknown here: "${hello.layout}"`);
    if (hello.size < layout.size)
      throw new SerialFailure(
        'refused',
        `its store has ${hello.size} bytes, layout ${layout.name} ${layout.size}`,
      );
    const { uid, firmware, locked } = hello;
    this.identity = { via: 'frames', uid, layout: layout.name, firmware, locked };
    this.#hello = hello;
    this.#layout = layout;
    this.#line = line;
    line.limitChunk(hello.chunk);
  }

  *read(): Task<PointerView> {
    const image = yield* this.#restarting(() => this.#readImage('reading'));
    this.#image = image;
    return viewOf(this.#layout, image);
  }

  plan(fields: Omit<BootPointer, 'sequence'>): BootPointer {
    return planWrite(this.#layout, this.#known(), fields).pointer;
  }

  *write(fields: Omit<BootPointer, 'sequence'>): Task<BootPointer> {
    return yield* this.#restarting(() => this.#writeOnce(fields), { writing: true });
  }

  *reset(): Task<void> {
    // The answer may be lost in the reset itself: a node that knows this session no more has done it.
    yield* wait({ request: { op: 'reset' }, tries: 4 });
  }

  *log(): Task<string> {
    return yield* this.#restarting(() => this.#readLog());
  }

  #known(): Uint8Array {
    if (this.#image === undefined) throw new Error('the store has not been read');
    return this.#image;
  }

  *#writeOnce(fields: Omit<BootPointer, 'sequence'>): Task<BootPointer> {
    // Read anew: what a reset left behind may be either record.
    const image = this.#image ?? (yield* this.#readImage('reading'));
    this.#image = undefined;
    const { pointer, patches } = planWrite(this.#layout, image, fields);
    const total = patches.reduce((sum, { bytes }) => sum + bytes.length, 0);
    let done = 0;
    for (const patch of patches) {
      yield* this.#stage(patch, done, total);
      yield* this.#commit(patch);
      done += patch.bytes.length;
    }
    const stored = yield* this.#readImage('checking');
    const found = viewOf(this.#layout, stored).pointer;
    if (found === undefined || found.sequence !== pointer.sequence || !samePointer(found, pointer))
      throw new SerialFailure('verify', 'the pointer in force is not the one that was written');
    this.#image = stored;
    return found;
  }

  *#stage({ bytes }: Patch, before: number, total: number): Task<void> {
    let offset = 0;
    while (offset < bytes.length) {
      yield* tell({ step: 'sending', done: before + offset, total });
      const at = offset;
      const run = () => runAt(bytes, at, bytes.length, this.#line.chunk);
      const sent = yield* this.#ask(() => ({ op: 'write', offset: at, run: run() }));
      offset += sent.request.op === 'write' ? sent.request.run.length : 0;
    }
    const crc = crc32(bytes);
    yield* this.#ask(() => ({ op: 'verify', length: bytes.length, crc }), MOST_TRIES);
    yield* tell({ step: 'sending', done: before + bytes.length, total });
  }

  *#commit({ offset, bytes }: Patch): Task<void> {
    const crc = crc32(bytes);
    const { answer } = yield* this.#ask(
      () => ({ op: 'commit', offset, length: bytes.length, crc }),
      MOST_TRIES,
    );
    if (answer.op !== 'commit' || answer.crc !== crc)
      throw new SerialFailure('verify', `${bytes.length} bytes at ${offset} read back differently`);
  }

  *#readImage(step: 'reading' | 'checking'): Task<Uint8Array> {
    const total = this.#layout.size;
    const image = new Uint8Array(total);
    let offset = 0;
    while (offset < total) {
      yield* tell({ step, done: offset, total });
      const at = offset;
      const { answer } = yield* this.#ask(() => ({
        op: 'read',
        offset: at,
        length: total - at,
        most: this.#line.chunk,
      }));
      if (answer.op !== 'read' || answer.run.length === 0 || answer.run.length > total - at)
        throw new SerialFailure('refused', 'the node answered a read with what was not asked for');
      image.set(expandRun(answer.run), at);
      offset += answer.run.length;
    }
    yield* tell({ step, done: total, total });
    return image;
  }

  *#readLog(): Task<string> {
    let text = '';
    let from = 0;
    for (let pieces = 0; pieces < MOST_LOG_PIECES; pieces++) {
      const at = from;
      const { answer } = yield* this.#ask(() => ({ op: 'log', from: at }));
      if (answer.op !== 'log' || answer.next <= from) return text;
      text += answer.text;
      from = answer.next;
    }
    return text;
  }

  /** Asks until there is an answer, smaller where the line is bad. `request` is made anew each time it was lost. */
  *#ask(
    request: () => SerialRequest,
    triesAPiece = TRIES_A_PIECE,
  ): Task<{ request: SerialRequest; answer: SerialAnswer }> {
    for (let tries = 0; tries < MOST_TRIES; tries += triesAPiece) {
      const asked = request();
      const got = yield* wait({ request: asked, tries: triesAPiece });
      if (got.kind !== 'answer') continue;
      if (got.answer.op === 'refused') throw refusal(got.answer);
      return { request: asked, answer: got.answer };
    }
    throw new SerialFailure(
      'pulled',
      'the node fell silent in the middle of the work: is the cable still in?',
    );
  }

  /** Does `work`, again from its beginning where the node was reset meanwhile. */
  *#restarting<T>(work: () => Task<T>, { writing } = { writing: false }): Task<T> {
    for (let restarts = 0; ; restarts++) {
      try {
        if (restarts > 0) yield* this.#greetAgain(writing);
        return yield* work();
      } catch (error) {
        if (!(error instanceof Restarted)) throw error;
        if (restarts === RESTARTS)
          throw new SerialFailure(
            'refused',
            `the node was reset ${restarts + 1} times in the middle of the work`,
          );
        this.#image = undefined;
      }
    }
  }

  /** Who does not know our session was reset, or is another node: what was planned for one is never written to the other. */
  *#greetAgain(writing: boolean): Task<void> {
    const { answer } = yield* this.#ask(() => ({ op: 'hello', version: SERIAL_VERSION }));
    const { uid, layout, size, version } = this.#hello;
    const same =
      answer.op === 'hello' &&
      answer.uid === uid &&
      answer.layout === layout &&
      answer.size === size &&
      answer.version === version;
    if (!same)
      throw new SerialFailure(
        'refused',
        'another node answers than the one the work began with: was the cable moved? Begin anew',
      );
    if (writing && uid === '')
      throw new SerialFailure(
        'refused',
        'the node was reset in the middle of the write, and without a UID it cannot be told from another: ' +
          'was the cable moved? Begin anew',
      );
    this.#line.limitChunk(answer.chunk);
  }
}

/** Layouts whose store can be read from its first byte to its last; undefined for others. */
function layoutOf({ layout, size }: Hello): PointerLayout | undefined {
  switch (layout) {
    case ubootEnv.name:
      return ubootEnv;
    case ipxeScript.name:
      return ipxeScript;
    case 'eeprom':
      return chipLayout(size);
    case 'efivars':
      // The two variables' data one behind the other, each filled up to the largest slot.
      return slotPair('efivars', LARGEST_SLOT);
    default:
      return undefined;
  }
}

function chipLayout(size: number): PointerLayout | undefined {
  try {
    return eepromLayout(size);
  } catch {
    return undefined; // No 24Cxx chip has that size.
  }
}

function refusal({ code, why }: Extract<SerialAnswer, { op: 'refused' }>): Error {
  switch (code) {
    case 'session':
      return new Restarted();
    case 'locked':
      return new SerialFailure('locked', `the node refuses writes: ${why}`);
    case 'mismatch':
    case 'store':
      return new SerialFailure('verify', `the node did not store the pointer: ${why}`);
    case 'request':
      return new SerialFailure('refused', `the node refuses what was asked: ${why}`);
  }
}
