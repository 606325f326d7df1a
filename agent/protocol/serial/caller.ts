/**
 * The technician's end of the line: one request at a time, sent again until its answer comes. Pure: bytes leave through
 * `send`, times are given (milliseconds), `wakeAt` says when `tick` wants to be called.
 *
 *     idle --ask--> waiting --its answer--> idle
 *                   waiting --no answer in time--> sent again, or after so many tries lost
 *
 * Each operation can be done twice with the same effect, so that a request may be given up and asked anew, smaller.
 */
import { encodeSerialFrame, FRAME_OVERHEAD, type SerialFrame } from './frame.ts';
import {
  decodeAnswer,
  encodeRequest,
  LONGEST_CHUNK,
  type SerialAnswer,
  type SerialRequest,
} from './operations.ts';

/** Start bit, eight data bits, stop bit. */
const BITS_A_BYTE = 10;
/** A frame of literal bytes is on the line for so long at most, so that losing one costs little. */
const CHUNK_MS = 40;
const SMALLEST_CHUNK = 16;
/** For a node that looks at its line now and then, and USB adapters that hold bytes back. */
const TURNAROUND_MS = 60;
/** The node writes meanwhile: 8 KiB of EEPROM in pages of 32 bytes, 5 ms each, take 1.3 s, over several tries. */
const COMMIT_MS = 500;
/** Answers without store content: the longest is a hello's. */
const ANSWER_SIZE = 160;
/**
 * Interrupt, end of input, line ends, flow control, suspend, quit: typed at a shell they would do something. Backspace, escape
 * and delete open the set-up of a firmware that has the line for its keyboard until the stub has it.
 */
const KEYS: readonly number[] = [0x03, 0x04, 0x08, 0x0a, 0x0d, 0x11, 0x13, 0x1a, 0x1b, 0x1c, 0x7f];

/** Literal bytes for one frame at `baud`, on a line that has shown no noise yet. */
export function chunkFor(baud: number): number {
  return clampChunk(Math.floor(((baud / BITS_A_BYTE) * CHUNK_MS) / 1000), LONGEST_CHUNK);
}

/** A session number from `random` (0 to 1, below 1): without a zero and without keys in its bytes, as a hello needs it. */
export function newSession(random: () => number): number {
  for (;;) {
    const session = Math.floor(random() * 0x10000);
    if (![session >> 8, session & 0xff].some((byte) => byte === 0 || KEYS.includes(byte))) return session;
  }
}

export interface CallerOptions {
  baud: number;
  /** Of newSession. */
  session: number;
  send(bytes: Uint8Array): void;
}

interface Open {
  request: SerialRequest;
  bytes: Uint8Array;
  triesLeft: number;
  patience: number;
}

export class SerialCaller {
  /** When `tick` wants to be called. Infinity: never. */
  wakeAt = Number.POSITIVE_INFINITY;
  readonly #options: CallerOptions;
  #largest: number;
  #chunk: number;
  #sequence = 0;
  #open: Open | undefined;

  constructor(options: CallerOptions) {
    this.#options = options;
    this.#largest = chunkFor(options.baud);
    this.#chunk = this.#largest;
  }

  /** Literal bytes that the next read or write should carry: less after each loss, more after each answer. */
  get chunk(): number {
    return this.#chunk;
  }

  /** The node takes no more than this in one write. */
  limitChunk(most: number): void {
    this.#largest = clampChunk(Math.min(this.#largest, most), LONGEST_CHUNK);
    this.#chunk = Math.min(this.#chunk, this.#largest);
  }

  /**
   * Sends a request; whatever was open is forgotten. `tries`: how often it is sent before it counts as lost. A hello may
   * reach a shell or firmware's menu instead of a node's end: its sequence number is such that no byte of it is a key that does something.
   */
  ask(request: SerialRequest, now: number, tries: number): void {
    const { session } = this.#options;
    const payload = encodeRequest(request);
    let bytes: Uint8Array;
    let numbers = 0;
    do {
      this.#sequence = (this.#sequence + 1) & 0xff;
      bytes = encodeSerialFrame({ kind: 'request', session, sequence: this.#sequence, payload });
    } while (request.op === 'hello' && numbers++ < 0xff && bytes.some((byte) => KEYS.includes(byte)));
    const answer = request.op === 'read' ? request.most + FRAME_OVERHEAD : ANSWER_SIZE;
    const onTheLine = ((bytes.length + answer) * BITS_A_BYTE * 1000) / this.#options.baud;
    const patience = 1.5 * onTheLine + TURNAROUND_MS + (request.op === 'commit' ? COMMIT_MS : 0);
    this.#open = { request, bytes, triesLeft: tries, patience };
    this.#send(this.#open, now);
  }

  /** Forgets the open request. */
  cancel(): void {
    this.#open = undefined;
    this.wakeAt = Number.POSITIVE_INFINITY;
  }

  /** The answer to the open request, where `frame` is it. Frames of other requests and other sessions are passed over. */
  take(frame: SerialFrame): SerialAnswer | undefined {
    const open = this.#open;
    if (open === undefined || frame.kind !== 'answer') return undefined;
    if (frame.session !== this.#options.session || frame.sequence !== this.#sequence) return undefined;
    const answer = decodeAnswer(frame.payload);
    if (answer === undefined || (answer.op !== open.request.op && answer.op !== 'refused')) return undefined;
    this.cancel();
    this.#chunk = clampChunk(this.#chunk + Math.ceil(this.#chunk / 8), this.#largest);
    return answer;
  }

  /** Sends again what has no answer yet. `lost`: it was sent often enough, and nothing is open any more. */
  tick(now: number): 'lost' | undefined {
    const open = this.#open;
    if (open === undefined || now < this.wakeAt) return undefined;
    this.#chunk = clampChunk(Math.floor(this.#chunk / 2), this.#largest);
    if (open.triesLeft === 0) {
      this.cancel();
      return 'lost';
    }
    this.#send(open, now);
    return undefined;
  }

  #send(open: Open, now: number): void {
    open.triesLeft--;
    this.wakeAt = now + open.patience;
    this.#options.send(open.bytes);
  }
}

function clampChunk(size: number, largest: number): number {
  return Math.max(SMALLEST_CHUNK, Math.min(size, largest));
}
