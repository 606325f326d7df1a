/**
 * Frames of the agent protocol: a 32-bit big-endian payload length, then one CBOR item (RFC 8949).
 * One TCP connection carries requests and pushes both ways.
 */
import { decodeCbor, encodeCbor } from './cbor.ts';
import { joined } from './joined.ts';
import { wordsOf } from './words-of.ts';

/** Longest payload there is: user-configuration scripts travel inside one frame. */
export const MAX_FRAME = 4 * 1024 * 1024;
/** Longest payload an agent has reason to send: the output of a script (output.ts) and what is around it. */
export const MAX_AGENT_FRAME = 96 * 1024;

const LENGTH_SIZE = 4;

export class FrameError extends Error {}

/** One frame around the CBOR encoding of `message`. Throws FrameError where it is longer than MAX_FRAME. */
export function encodeFrame(message: unknown): Uint8Array {
  const payload = encodeCbor(message);
  if (payload.length > MAX_FRAME)
    throw new FrameError(`message of ${payload.length} bytes, at most ${MAX_FRAME}`);
  const frame = new Uint8Array(LENGTH_SIZE + payload.length);
  new DataView(frame.buffer).setUint32(0, payload.length);
  frame.set(payload, LENGTH_SIZE);
  return frame;
}

/** Takes bytes as they come and gives whole messages. Buffers at most one frame, and copies each byte at most twice. */
export class FrameReader {
  readonly #longest: number;
  #chunks: Uint8Array[] = [];
  #length = 0;
  /** Bytes without which nothing more can be said: a length, or a whole frame. */
  #needed = LENGTH_SIZE;

  constructor(longest = MAX_FRAME) {
    this.#longest = longest;
  }

  /** Messages completed by `chunk`. Throws FrameError on an over-long length or invalid CBOR: drop the connection. */
  push(chunk: Uint8Array): unknown[] {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length < this.#needed) return [];
    const bytes = this.#chunks.length === 1 ? chunk : joined(this.#chunks);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const messages: unknown[] = [];
    let at = 0;
    this.#needed = LENGTH_SIZE;
    while (bytes.length - at >= LENGTH_SIZE) {
      const length = view.getUint32(at);
      if (length > this.#longest)
        throw new FrameError(`frame of ${length} bytes announced, at most ${this.#longest}`);
      this.#needed = LENGTH_SIZE + length;
      if (bytes.length - at < this.#needed) break;
      messages.push(decodePayload(bytes.subarray(at + LENGTH_SIZE, at + this.#needed)));
      at += this.#needed;
      this.#needed = LENGTH_SIZE;
    }
    this.#length = bytes.length - at;
    this.#chunks = this.#length === 0 ? [] : [bytes.slice(at)];
    return messages;
  }
}

function decodePayload(payload: Uint8Array): unknown {
  try {
    return decodeCbor(payload);
  } catch (error) {
    throw new FrameError(`frame is not CBOR of this protocol: ${wordsOf(error)}`);
  }
}
