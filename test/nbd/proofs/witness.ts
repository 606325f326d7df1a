/**
 * A client that remembers what it was promised. It writes, trims, zeroes and flushes at random places, many requests at
 * once but never two at one place, until its server is gone; afterwards it reads everything and tells what is not as
 * it must be: what was acknowledged is there, flushed or not (a kernel that comes back never sends it again); a request
 * that was not answered took effect or not, but in each block of 4 KiB as a whole.
 */
import { Random } from '../../fuzz/random.ts';
import { FLUSH, type RawClient, READ, request, TRIM, WRITE, ZEROES } from '../raw-client.ts';

const SECTOR = 512;
/** Sectors of a block. */
const BLOCK = 8;
const DEPTH = 12;
const FUA = 1;
const NO_HOLE = 2;
const READ_LENGTH = 256 * 1024;
/** What a sector of zeroes has; of the image below; and what is neither one value nor another. */
const [ZERO, BASE, TORN] = [0, 1, -1];

interface Request {
  /** Sectors; none for a flush. */
  from: number;
  to: number;
  value: number;
  bytes: Buffer;
}

export class Witness {
  readonly #sectors: number;
  /** Value of each sector as of its last acknowledged change. */
  readonly #there: Int32Array;
  readonly #unanswered = new Map<number, Request>();
  readonly #random = new Random();
  #value = BASE;
  #cookie = 0;
  acknowledged = 0;
  flushes = 0;

  constructor(size: number) {
    this.#sectors = size / SECTOR;
    this.#there = new Int32Array(this.#sectors).fill(BASE);
  }

  /** The base image that it takes for granted. */
  static image(size: number): Buffer {
    const image = Buffer.alloc(size);
    for (let sector = 0; sector < size / SECTOR; sector++) fill(image, sector * SECTOR, sector, BASE);
    return image;
  }

  /** Keeps requests under way until the connection ends. `each` is called after every reply. */
  async write(client: RawClient, seed: number, round: number, each: () => void): Promise<void> {
    this.#random.begin(seed, round);
    for (;;) {
      while (this.#unanswered.size < DEPTH) {
        const cookie = ++this.#cookie;
        const next = this.#next(cookie);
        this.#unanswered.set(cookie, next);
        client.send(next.bytes);
      }
      const reply = await client.reply().catch(() => undefined);
      if (reply === undefined) return;
      if (reply.error !== 0) throw new Error(`request ${reply.cookie}: error ${reply.error}`);
      const { from, to, value } = this.#unanswered.get(reply.cookie)!;
      this.#unanswered.delete(reply.cookie);
      this.#there.fill(value, from, to);
      this.acknowledged++;
      if (from === to) this.flushes++;
      each();
    }
  }

  #next(cookie: number): Request {
    const random = this.#random;
    if (random.once(10)) return { from: 0, to: 0, value: 0, bytes: request({ type: FLUSH, cookie }) };
    const { from, to } = this.#range();
    const flags = random.once(6) ? FUA : 0;
    const place = { cookie, offset: from * SECTOR };
    if (random.once(5)) {
      const type = random.once(2) ? TRIM : ZEROES;
      const more = type === ZEROES && random.once(3) ? NO_HOLE : 0;
      const bytes = request({ ...place, type, length: (to - from) * SECTOR, flags: flags | more });
      return { from, to, value: ZERO, bytes };
    }
    const value = ++this.#value;
    const payload = Buffer.alloc((to - from) * SECTOR);
    for (let sector = from; sector < to; sector++) fill(payload, (sector - from) * SECTOR, sector, value);
    return { from, to, value, bytes: request({ ...place, type: WRITE, payload, flags }) };
  }

  /** Whole blocks mostly, and parts of blocks; no block of another request. */
  #range(): { from: number; to: number } {
    for (;;) {
      const unit = this.#random.once(3) ? 1 : BLOCK;
      const length = unit * (1 + this.#random.below(16));
      const from = unit * this.#random.below((this.#sectors - length) / unit + 1);
      const to = from + length;
      const first = from - (from % BLOCK);
      const behind = to + BLOCK - 1 - ((to + BLOCK - 1) % BLOCK);
      const taken = [...this.#unanswered.values()].some((one) => one.from < behind && first < one.to);
      if (!taken) return { from, to };
    }
  }

  /** Reads the disk, and throws where something is not as promised. What is there counts from then on. */
  async check(client: RawClient): Promise<void> {
    const found = new Int32Array(this.#sectors);
    for (let at = 0; at < this.#sectors * SECTOR; at += READ_LENGTH) {
      const length = Math.min(READ_LENGTH, this.#sectors * SECTOR - at);
      client.send(request({ type: READ, offset: at, length }));
      const { error, data } = await client.reply(length);
      if (error !== 0) throw new Error(`read at ${at}: error ${error}`);
      for (let i = 0; i < length; i += SECTOR) found[(at + i) / SECTOR] = valueIn(data, i, (at + i) / SECTOR);
    }
    const expected = Int32Array.from(this.#there);
    for (const { from, to, value } of this.#unanswered.values()) {
      for (let sector = from; sector < to; ) {
        const end = Math.min(to, sector + BLOCK - (sector % BLOCK));
        if (found.subarray(sector, end).every((one) => one === value)) expected.fill(value, sector, end);
        sector = end;
      }
    }
    for (let sector = 0; sector < this.#sectors; sector++) {
      if (found[sector] === expected[sector]) continue;
      throw new Error(this.#complaint(sector, found, expected[sector]!));
    }
    this.#there.set(found);
    this.#unanswered.clear();
  }

  #complaint(sector: number, found: Int32Array, promised: number): string {
    const what = found[sector] === TORN ? 'torn' : `value ${found[sector]}`;
    const block = sector - (sector % BLOCK);
    const open = [...this.#unanswered.values()].find(({ from, to }) => from <= sector && sector < to);
    const also =
      open === undefined ? '' : `; not answered: ${open.value} to sectors ${open.from} to ${open.to - 1}`;
    const list = (values: Int32Array): string => values.slice(block, block + BLOCK).join(' ');
    return (
      `sector ${sector}: ${what}, promised was ${promised}${also}; ` +
      `its block has ${list(found)}, acknowledged was ${list(this.#there)}`
    );
  }
}

function fill(bytes: Buffer, at: number, sector: number, value: number): void {
  bytes.writeUInt32LE(sector, at);
  bytes.writeInt32LE(value, at + 4);
  bytes.copy(bytes, at + 8, at, at + 8);
  for (let done = 16; done < SECTOR; done *= 2) bytes.copy(bytes, at + done, at, at + done);
}

function valueIn(bytes: Buffer, at: number, sector: number): number {
  const value = bytes.readInt32LE(at + 4);
  if (value !== ZERO && bytes.readUInt32LE(at) !== sector) return TORN;
  if (value === ZERO && bytes.readUInt32LE(at) !== 0) return TORN;
  const repeats = bytes.compare(bytes, at + 8, at + SECTOR, at, at + SECTOR - 8) === 0;
  return repeats ? value : TORN;
}
