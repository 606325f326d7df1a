/**
 * Frames of the agent protocol: a 32-bit big-endian payload length, then one CBOR item (RFC 8949).
 * One TCP connection carries requests and pushes both ways.
 */
import { Decoder, Encoder } from 'cbor-x';

/** Longest payload accepted: user-configuration scripts travel inside one frame. */
export const MAX_FRAME = 4 * 1024 * 1024;

const encoder = new Encoder({ useRecords: false, mapsAsObjects: true, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false, mapsAsObjects: true });

export class FrameError extends Error {}

/** One frame around the CBOR encoding of `message`. Throws FrameError where it is longer than MAX_FRAME. */
export function encodeFrame(message: unknown): Uint8Array {
  const payload = encoder.encode(message);
  if (payload.length > MAX_FRAME)
    throw new FrameError(`message of ${payload.length} bytes, at most ${MAX_FRAME}`);
  const frame = new Uint8Array(4 + payload.length);
  new DataView(frame.buffer).setUint32(0, payload.length);
  frame.set(payload, 4);
  return frame;
}

/** Takes bytes as they come and gives whole messages. Buffers at most one frame. */
export class FrameReader {
  #buffer = new Uint8Array(0);

  /** Messages completed by `chunk`. Throws FrameError on an over-long length or invalid CBOR: drop the connection. */
  push(chunk: Uint8Array): unknown[] {
    const bytes = new Uint8Array(this.#buffer.length + chunk.length);
    bytes.set(this.#buffer);
    bytes.set(chunk, this.#buffer.length);
    const view = new DataView(bytes.buffer);
    const messages: unknown[] = [];
    let at = 0;
    while (bytes.length - at >= 4) {
      const length = view.getUint32(at);
      if (length > MAX_FRAME)
        throw new FrameError(`frame of ${length} bytes announced, at most ${MAX_FRAME}`);
      if (bytes.length - at - 4 < length) break;
      messages.push(decodePayload(bytes.subarray(at + 4, at + 4 + length)));
      at += 4 + length;
    }
    this.#buffer = bytes.slice(at);
    return messages;
  }
}

function decodePayload(payload: Uint8Array): unknown {
  try {
    return decoder.decode(payload);
  } catch (error) {
    throw new FrameError(`frame is not CBOR: ${error instanceof Error ? error.message : String(error)}`);
  }
}
