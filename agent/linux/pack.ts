/**
 * Fetches the pack of a disk: what a boot will read of it, in one piece, over HTTP from the imager that has the disk
 * (GET /packs/NAME; imager/packs/pack.ts has its bytes). A boot does without where there is none.
 */
import { fromLatin1 } from '../protocol/latin1.ts';
import type { Connection, Host } from './host.ts';
import { readText } from './read-text.ts';

const HTTP_PORT = 80;
const CONNECT_MS = 1000;
/** An imager that sends nothing for so long is not waited for. */
const SILENCE_MS = 3000;
const HEAD_MAX = 16 * 1024;
const PACK_HEADER = 68;
/** 64 MiB of blocks, and the index to them. */
const PACK_MAX = 66 * 1024 * 1024;
/** The pack may take a quarter of the memory that is free. */
const SHARE = 4;

/** Why a pack is not used. */
export class PackRefused extends Error {}

/**
 * The bytes of the pack; undefined where there is nothing in it. Rejects with PackRefused or HostError where it cannot
 * be had, soon enough that the boot loses little by having asked.
 */
export async function fetchPack(host: Host, imager: string, disk: string): Promise<Uint8Array | undefined> {
  const connection = await host.connect(imager, HTTP_PORT, CONNECT_MS);
  const input = new Input(connection);
  try {
    const request = `GET /packs/${disk} HTTP/1.1\r\nHost: ${imager}\r\nConnection: close\r\n\r\n`;
    await connection.write(new TextEncoder().encode(request));
    const { length, base } = parseHead(await input.head());
    if (length > Math.min(PACK_MAX, freeBytes(host) / SHARE))
      throw new PackRefused(`a pack of ${length} bytes is too large for this node`);
    const bytes = await input.body(host, length);
    checkBase(bytes, base);
    // Nothing to read from it.
    return length === PACK_HEADER ? undefined : bytes;
  } finally {
    connection.close();
  }
}

/** Length and entity tag of a 200 (RFC 9110 sections 8.6 and 8.8.3). Throws PackRefused for all else. */
function parseHead(head: string): { length: number; base: string } {
  const [status = '', ...lines] = head.split('\r\n');
  if (!/^HTTP\/1\.\d 200 /.test(`${status} `)) throw new PackRefused(status.slice(0, 80) || 'no answer');
  const fields = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const length = fields.get('content-length') ?? '';
  if (!/^\d{1,9}$/.test(length) || Number(length) < PACK_HEADER)
    throw new PackRefused('answer without a length that a pack can have');
  return { length: Number(length), base: /^"([0-9a-f]{64})-/.exec(fields.get('etag') ?? '')?.[1] ?? '' };
}

/** The imager tells which base the export is over; blocks of another one must never get into the disk. */
function checkBase(bytes: Uint8Array, base: string): void {
  const own = [...bytes.subarray(24, 56)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  if (own !== base) throw new PackRefused('the pack is of another base image');
}

function freeBytes(host: Host): number {
  const text = readText(host, '/proc/meminfo');
  return Number(/^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

/** A response from a connection that gives bytes as they come. */
class Input {
  readonly #connection: Connection;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Status line and fields, without the empty line at their end. */
  async head(): Promise<string> {
    for (let text = ''; ; ) {
      const chunk = await this.#next();
      const held = new Uint8Array(this.#rest.length + chunk.length);
      held.set(this.#rest);
      held.set(chunk, this.#rest.length);
      this.#rest = held;
      text = fromLatin1(held.subarray(0, HEAD_MAX));
      const end = text.indexOf('\r\n\r\n');
      if (end >= 0) {
        this.#rest = held.slice(end + 4);
        return text.slice(0, end);
      }
      if (held.length >= HEAD_MAX) throw new PackRefused('answer without an end of its head');
    }
  }

  async body(host: Host, length: number): Promise<Uint8Array> {
    if (this.#rest.length > length) throw new PackRefused('answer is longer than it said');
    const bytes = new Uint8Array(length);
    bytes.set(this.#rest);
    const end = await host.receive(this.#connection, bytes, this.#rest.length, SILENCE_MS);
    if (end < length) throw new PackRefused('answer is cut off');
    return bytes;
  }

  async #next(): Promise<Uint8Array> {
    let silent = false;
    const timer = setTimeout(() => {
      silent = true;
      this.#connection.close();
    }, SILENCE_MS);
    try {
      const chunk = await this.#connection.read();
      if (silent) throw new PackRefused('the imager sends nothing');
      if (chunk === undefined) throw new PackRefused('answer is cut off');
      return chunk;
    } finally {
      clearTimeout(timer);
    }
  }
}
