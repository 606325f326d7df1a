/** Puts IPv4 datagrams together from their fragments (RFC 791 section 3.2), within bounds. */

/** An IPv4 datagram or a fragment of one. */
export interface Datagram {
  from: string;
  to: string;
  protocol: number;
  id: number;
  /** Byte of the datagram the payload begins at; `more` follow. */
  offset: number;
  more: boolean;
  fragment: boolean;
  /** Bytes of the payload as sent; it has fewer where the frame was cut. */
  length: number;
  payload: Uint8Array;
}

/** Datagrams begun and not yet whole: past this the oldest is given up. */
const MAX_OPEN = 64;
/** The longest datagram has 45 at the MTU of Ethernet; more are an attempt to keep us busy. */
const MAX_PARTS = 128;

interface Open {
  parts: Datagram[];
  /** Bytes of the whole; known from the last fragment. */
  length: number | undefined;
}

export class Fragments {
  readonly #open = new Map<string, Open>();

  /** The whole datagram once its last piece has come. */
  take(part: Datagram): Datagram | undefined {
    const key = `${part.from} ${part.to} ${part.protocol} ${part.id}`;
    const open = this.#open.get(key) ?? { parts: [], length: undefined };
    if (open.parts.length === 0) this.#add(key, open);
    if (open.parts.length < MAX_PARTS) open.parts.push(part);
    if (!part.more) open.length = part.offset + part.length;
    const payload = joined(open);
    if (payload === undefined) return undefined;
    this.#open.delete(key);
    return { ...part, offset: 0, more: false, fragment: false, length: payload.length, payload };
  }

  #add(key: string, open: Open): void {
    this.#open.set(key, open);
    const [oldest] = this.#open.keys();
    if (this.#open.size > MAX_OPEN && oldest !== undefined) this.#open.delete(oldest);
  }
}

function joined({ parts, length }: Open): Uint8Array | undefined {
  // An IPv4 datagram has at most 65,535 bytes, whatever offsets add up to.
  if (length === undefined || length > 65_535) return undefined;
  const sorted = [...parts].sort((a, b) => a.offset - b.offset);
  let end = 0;
  for (const { offset, payload } of sorted) {
    if (offset > end) return undefined;
    end = Math.max(end, offset + payload.length);
  }
  if (end < length) return undefined;
  const whole = new Uint8Array(length);
  for (const { offset, payload } of sorted)
    whole.set(payload.subarray(0, Math.max(0, length - offset)), offset);
  return whole;
}
