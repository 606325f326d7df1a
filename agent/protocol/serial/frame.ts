/**
 * Frames on a serial line that carries console text too (README.md has the bytes):
 *
 *     00 F5 COBS(kind, session, sequence, payload, CRC-32) 00
 *
 * Console text holds no zero, and UTF-8 no F5. What looks like a frame and is none is console text.
 */
import { crc32 } from '../crc32.ts';
import { cobsDecode, cobsEncode } from './cobs.ts';

export interface SerialFrame {
  kind: 'request' | 'answer';
  /** Chosen by the technician's end for each of its sessions, 1 to 0xffff: a node that was reset knows it no more. */
  session: number;
  /** 0 to 255; an answer bears its request's. */
  sequence: number;
  payload: Uint8Array;
}

/** Longest payload there is: a stub needs no larger buffer. */
export const LONGEST_PAYLOAD = 640;
/** Bytes of a frame beside its payload, where COBS adds one. */
export const FRAME_OVERHEAD = 12;

const START = 0xf5;
const KINDS = { request: 0x51, answer: 0x41 } as const;
const HEAD_SIZE = 4;
const CRC_SIZE = 4;
const LONGEST_BODY = HEAD_SIZE + LONGEST_PAYLOAD + CRC_SIZE;
const LONGEST_STUFFED = LONGEST_BODY + Math.floor(LONGEST_BODY / 254) + 1;

/** The frame's bytes on the line. Throws RangeError where the payload is longer than LONGEST_PAYLOAD. */
export function encodeSerialFrame({ kind, session, sequence, payload }: SerialFrame): Uint8Array {
  if (payload.length > LONGEST_PAYLOAD)
    throw new RangeError(`payload of ${payload.length} bytes, at most ${LONGEST_PAYLOAD}`);
  const body = new Uint8Array(HEAD_SIZE + payload.length + CRC_SIZE);
  const view = new DataView(body.buffer);
  body[0] = KINDS[kind];
  view.setUint16(1, session);
  body[3] = sequence;
  body.set(payload, HEAD_SIZE);
  view.setUint32(body.length - CRC_SIZE, crc32(body.subarray(0, body.length - CRC_SIZE)));
  const stuffed = cobsEncode(body);
  const bytes = new Uint8Array(stuffed.length + 3);
  bytes[1] = START;
  bytes.set(stuffed, 2);
  return bytes;
}

/** A piece of what came: a whole frame, or console text (bytes in whatever encoding the console has). */
export type LineItem = { kind: 'frame'; frame: SerialFrame } | { kind: 'text'; bytes: Uint8Array };

/** Takes bytes as they come; gives frames, and all else as text, in order. Holds back one frame's length at most. */
export class SerialFrameReader {
  /** Frames whose end came and that were none: noise, or text that began like one. */
  damaged = 0;
  #state: 'text' | 'zero' | 'frame' = 'text';
  readonly #held = new Uint8Array(LONGEST_STUFFED);
  #length = 0;

  push(chunk: Uint8Array): LineItem[] {
    const items: LineItem[] = [];
    let text: number[] = [];
    const flush = () => {
      if (text.length > 0) items.push({ kind: 'text', bytes: Uint8Array.from(text) });
      text = [];
    };
    const giveUp = () => {
      this.damaged++;
      for (let i = 0; i < this.#length; i++) text.push(this.#held[i]!);
      this.#length = 0;
    };
    for (const byte of chunk) {
      if (byte === 0) {
        if (this.#state === 'frame') {
          const frame = decodeBody(this.#held.subarray(0, this.#length));
          if (frame === undefined) giveUp();
          else {
            flush();
            items.push({ kind: 'frame', frame });
            this.#length = 0;
          }
        }
        // A zero that ends one frame may begin the next.
        this.#state = 'zero';
      } else if (this.#state === 'zero' && byte === START) this.#state = 'frame';
      else if (this.#state !== 'frame') {
        this.#state = 'text';
        text.push(byte);
      } else if (this.#length < LONGEST_STUFFED) this.#held[this.#length++] = byte;
      else {
        giveUp();
        this.#state = 'text';
        text.push(byte);
      }
    }
    flush();
    return items;
  }
}

function decodeBody(stuffed: Uint8Array): SerialFrame | undefined {
  const body = cobsDecode(stuffed);
  if (body === undefined || body.length < HEAD_SIZE + CRC_SIZE) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const end = body.length - CRC_SIZE;
  if (view.getUint32(end) !== crc32(body.subarray(0, end))) return undefined;
  const kind = body[0] === KINDS.request ? 'request' : body[0] === KINDS.answer ? 'answer' : undefined;
  if (kind === undefined) return undefined;
  return { kind, session: view.getUint16(1), sequence: body[3]!, payload: body.slice(HEAD_SIZE, end) };
}
