/**
 * The node's end of the line: it speaks when it is asked, has no timers, and keeps its last answer for a request that
 * comes again. Pure but for the store it is given.
 *
 *     closed --hello--> open (its memory is blank) --hello of another session--> open, blank again
 *     closed, open      a request of a session that is not open is refused: the node was reset meanwhile
 */
import { crc32 } from '../crc32.ts';
import type { Eeprom } from '../pointer/store.ts';
import { encodeSerialFrame, type SerialFrame } from './frame.ts';
import {
  decodeRequest,
  encodeAnswer,
  LONGEST_CHUNK,
  type RefusalCode,
  SERIAL_VERSION,
  type SerialAnswer,
  type SerialRequest,
} from './operations.ts';
import { expandRun, runAt } from './run.ts';

export interface SerialIdentity {
  uid: string;
  layout: string;
  /** Bytes of the store. */
  size: number;
  locked: boolean;
  firmware: string;
}

/** What is to be sent, and what is to be done once it has left. */
export interface Reaction {
  send: Uint8Array;
  reset: boolean;
}

/** Before the first hello nothing is open. */
const NO_SESSION = 0;
/** Bytes of log in one answer: with its head it is shorter than a frame may be. */
const LOG_CHUNK = 256;

export class SerialAnswerer {
  readonly #identity: SerialIdentity;
  readonly #store: Eeprom;
  readonly #log: () => string;
  readonly #memory: Uint8Array;
  #session = NO_SESSION;
  #sequence: number | undefined;
  #last: Reaction | undefined;

  /** `log` gives all of the node's log there is, one byte a character. */
  constructor(identity: SerialIdentity, store: Eeprom, log: () => string) {
    this.#identity = identity;
    this.#store = store;
    this.#log = log;
    this.#memory = new Uint8Array(identity.size);
  }

  /** The reaction to a frame; none to an answer (an echo of our own) and to what is no request. */
  take(frame: SerialFrame): Reaction | undefined {
    if (frame.kind !== 'request') return undefined;
    const { session, sequence } = frame;
    if (session === this.#session && sequence === this.#sequence && this.#last !== undefined)
      return this.#last;
    const request = decodeRequest(frame.payload);
    if (request?.op === 'hello' && session !== NO_SESSION && session !== this.#session) {
      this.#session = session;
      this.#memory.fill(0);
    }
    const answer =
      request === undefined ? refused('request', 'no such operation') : this.#answer(request, session);
    const payload = encodeAnswer(answer);
    const reaction = {
      send: encodeSerialFrame({ kind: 'answer', session, sequence, payload }),
      reset: answer.op === 'reset',
    };
    if (session === this.#session) {
      this.#sequence = sequence;
      // A reset that comes again is answered again; it is not done again by the node that has come up since.
      this.#last = reaction;
    }
    return reaction;
  }

  #answer(request: SerialRequest, session: number): SerialAnswer {
    if (session === NO_SESSION || session !== this.#session)
      return refused('session', 'no hello in this session');
    const { size, locked } = this.#identity;
    switch (request.op) {
      case 'hello':
        return { op: 'hello', version: SERIAL_VERSION, chunk: LONGEST_CHUNK, ...this.#identity };
      case 'read': {
        const { offset, length, most } = request;
        if (length === 0 || offset + length > size || most === 0 || most > LONGEST_CHUNK) return outOfRange();
        return this.#tried(() => ({
          op: 'read',
          run: runAt(this.#store.read(offset, length), 0, length, most),
        }));
      }
      case 'write':
        if (request.offset + request.run.length > size) return outOfRange();
        this.#memory.set(expandRun(request.run), request.offset);
        return { op: 'write' };
      case 'verify':
        return this.#staged(request) ?? { op: 'verify' };
      case 'commit':
        if (locked) return refused('locked', 'writes are locked on this node');
        if (request.offset + request.length > size) return outOfRange();
        return this.#staged(request) ?? this.#tried(() => this.#commit(request));
      case 'reset':
        return { op: 'reset' };
      case 'log': {
        const text = this.#log().slice(request.from, request.from + LOG_CHUNK);
        return { op: 'log', next: request.from + text.length, text };
      }
    }
  }

  /** Undefined where the memory holds what the CRC-32 says. */
  #staged({ length, crc }: { length: number; crc: number }): SerialAnswer | undefined {
    if (length === 0 || length > this.#memory.length) return outOfRange();
    if (crc32(this.#memory.subarray(0, length)) === crc) return undefined;
    return refused('mismatch', 'the CRC-32 of what was sent differs');
  }

  #commit({ offset, length, crc }: { offset: number; length: number; crc: number }): SerialAnswer {
    this.#store.write(offset, this.#memory.slice(0, length));
    const stored = crc32(this.#store.read(offset, length));
    if (stored !== crc) return refused('store', 'the store holds something else than was written');
    return { op: 'commit', crc: stored };
  }

  #tried(work: () => SerialAnswer): SerialAnswer {
    try {
      return work();
    } catch (error) {
      // A character takes three bytes at most: it fits a frame.
      return refused('store', error instanceof Error ? error.message.slice(0, 160) : 'it failed');
    }
  }
}

function refused(code: RefusalCode, why: string): SerialAnswer {
  return { op: 'refused', code, why };
}

function outOfRange(): SerialAnswer {
  return refused('request', 'out of range');
}
