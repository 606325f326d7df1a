/**
 * NBD, whole conversations of about ten messages: options and requests, in pieces as TCP may deliver them, to the
 * server's negotiation and transmission without sockets. Whatever comes, what is answered is well-formed and answers
 * something that was asked, once; the disk is asked for nothing outside of it; and nothing is left under way.
 */
import type { Disk, Extent } from '../../../imager/disks/disk.ts';
import { Budget } from '../../../imager/nbd/budget.ts';
import { BufferPool } from '../../../imager/nbd/buffer-pool.ts';
import { ProtocolError } from '../../../imager/nbd/codec.ts';
import { contextsOf } from '../../../imager/nbd/contexts.ts';
import { Incoming } from '../../../imager/nbd/incoming.ts';
import { negotiate, type Terms } from '../../../imager/nbd/negotiation.ts';
import type { Insert } from '../../../imager/nbd/read-pieces.ts';
import { Reader } from '../../../imager/nbd/reader.ts';
import type { Stream } from '../../../imager/nbd/stream.ts';
import { Transmission } from '../../../imager/nbd/transmission.ts';
import {
  CACHE,
  CLIENT_FLAGS,
  contextRequest,
  DISC,
  FLUSH,
  infoRequest,
  option,
  READ,
  request,
  STATUS,
  TRIM,
  WRITE,
  ZEROES,
} from '../../nbd/raw-client.ts';
import { promise, type Target } from '../target.ts';

const SIZE = 2 ** 20;
const BLOCK = 4096;
/** A conversation that begins with this is past its negotiation. */
const ATTACHED = 0xa7;
const [SIMPLE, CHUNK, OPTION_REPLY] = [0x67446698, 0x668e33ef, 0x0003e889];

function inside(offset: number, length: number): void {
  promise(
    offset >= 0 && length >= 0 && offset + length <= SIZE,
    `${length} bytes at ${offset} are of the disk`,
  );
}

/** Answers at once, and holds its callers to its size. Every other block is a hole. */
const disk: Disk = {
  ...{ name: 'n1', size: SIZE, readOnly: false, blockSize: BLOCK },
  read: async (target, offset) => inside(offset, target.length),
  fileParts(offset, length, least) {
    inside(offset, length);
    return length < least
      ? []
      : [{ offset, length, lend: () => 0, readNow: (target) => void target.fill(1) }];
  },
  write: async (source, offset) => inside(offset, source.length),
  writeZeroes: async (offset, length) => inside(offset, length),
  trim: async (offset, length) => inside(offset, length),
  extents(offset, length, most) {
    inside(offset, length);
    const runs: Extent[] = [];
    for (let at = offset; at < offset + length && runs.length < most; ) {
      const block = Math.floor(at / BLOCK);
      const end = Math.min(offset + length, (block + 1) * BLOCK);
      runs.push({ length: end - at, state: (block & 1) === 0 ? 'data' : 'hole', dirty: (block & 2) === 0 });
      at = end;
    }
    return runs;
  },
  flush: async () => {},
  close: async () => {},
};

export function nbdTalkTarget(): Target {
  const options = [
    option(8),
    option(9, contextRequest('n1', [])),
    option(10, contextRequest('n1', ['base:allocation', 'x-bootwright:dirty'])),
    option(3),
    option(6, infoRequest('n1')),
    option(7, infoRequest('n1')),
  ];
  const requests = [
    request({ type: READ, offset: BLOCK, length: 3 * BLOCK, cookie: 1, flags: 4 }),
    request({ type: STATUS, offset: 0, length: 9 * BLOCK, cookie: 2 }),
    request({ type: WRITE, offset: 1000, payload: Buffer.alloc(700, 1), cookie: 3, flags: 1 }),
    request({ type: ZEROES, offset: 0, length: 2 * BLOCK, cookie: 4, flags: 16 }),
    request({ type: CACHE, offset: 0, length: 2 * BLOCK, cookie: 5 }),
    request({ type: TRIM, offset: 12, length: 9999, cookie: 6 }),
    request({ type: FLUSH, cookie: 7 }),
    request({ type: WRITE, offset: SIZE, payload: Buffer.alloc(30, 1), cookie: 8 }),
    request({ type: READ, offset: 0, length: 8 * BLOCK, cookie: 9 }),
    request({ type: READ, offset: 0, length: 32 * BLOCK, cookie: 10, flags: 4 }),
    request({ type: DISC }),
  ];
  const attached = Buffer.of(ATTACHED);
  return {
    seeds: [
      Buffer.concat([CLIENT_FLAGS, ...options, ...requests]),
      Buffer.concat([CLIENT_FLAGS, option(1, Buffer.from('n1')), ...requests]),
      Buffer.concat([CLIENT_FLAGS, ...options.slice(0, 3), option(5), option(2)]),
      Buffer.concat([attached, ...requests]),
      Buffer.concat([attached, ...requests.toReversed().slice(1)]),
    ],
    tokens: [
      Buffer.from('IHAVEOPT'),
      Buffer.from('25609513', 'hex'),
      Buffer.alloc(4, 0xff),
      Buffer.from('n1'),
    ],
    maxLength: 8192,
    take: (bytes) => talk(Buffer.from(bytes)),
  };
}

const NOTHING = (): void => {};

/** A stream of bytes that are handed to it. */
class Pieces implements Stream {
  readonly unsent = 0;
  readonly takesFiles = true;
  readonly sendFile = () => 0;
  readonly listen = NOTHING;
  readonly pause = NOTHING;
  readonly resume = NOTHING;
  readonly watchQuiet = NOTHING;
  readonly end = NOTHING;
  readonly destroy = NOTHING;
  readonly keep = () => NOTHING;
  readonly send = (_: Buffer, sent: () => void): void => sent();
  #filling: { target: Buffer; at: number; filled: () => void } | undefined;

  fill(target: Buffer, filled: () => void): void {
    this.#filling = { target, at: 0, filled };
  }

  stopFilling(): void {
    this.#filling = undefined;
  }

  take(bytes: Buffer, receive: (rest: Buffer) => void): void {
    const filling = this.#filling;
    if (filling === undefined) {
      receive(bytes);
      return;
    }
    const taken = bytes.copy(filling.target, filling.at);
    filling.at += taken;
    if (filling.at < filling.target.length) return;
    this.#filling = undefined;
    filling.filled();
    if (taken < bytes.length) this.take(bytes.subarray(taken), receive);
  }
}

/** True where the conversation came to requests, and none of them was nonsense. */
async function talk(bytes: Buffer): Promise<boolean> {
  if (bytes[0] === ATTACHED)
    return transmit({ structured: true, contexts: contextsOf(disk) }, pieces(bytes.subarray(1)));
  const reader = new Reader(() => {});
  const talked: Buffer[] = [];
  const negotiation = negotiate(
    {
      reader,
      send: async (answer) => void talked.push(answer),
      tls: 'allowed',
      tlsMissing: () => {},
      optionDone: () => {},
      startTls: async () => {},
    },
    {
      list: () => ['n1'],
      describe: (name) => (name === 'n1' ? disk : { refused: 'unknown', why: 'no such disk' }),
      open: async (name) => (name === 'n1' ? disk : { refused: 'unknown', why: 'no such disk' }),
    },
  );
  for (const piece of pieces(bytes)) reader.feed(piece);
  reader.end(new Error('over'));
  const agreed = await negotiation.catch((error: Error) => {
    if (error instanceof ProtocolError || error.message === 'over') return undefined;
    throw error;
  });
  for (const answer of talked.slice(1))
    promise(
      answer.length >= 10 && (answer.length <= 134 || answer.readUInt32BE(0) === OPTION_REPLY),
      'an answer',
    );
  return agreed === undefined ? false : transmit(agreed.terms, [reader.rest()]);
}

/** Cut where the bytes themselves say. */
function pieces(bytes: Buffer): Buffer[] {
  const cut = bytes.length === 0 ? 0 : ((bytes.at(-1)! << 8) | bytes.length) % bytes.length;
  return [bytes.subarray(0, cut), bytes.subarray(cut)];
}

async function transmit(terms: Terms, chunks: readonly Buffer[]): Promise<boolean> {
  let good = true;
  let answered = 0;
  let room = false;
  let broken: Error | undefined;
  const replies = {
    unsent: 0,
    takesFiles: true,
    reserve: (length: number) => Buffer.allocUnsafe(length),
    drop: () => {},
    send: (reply: Buffer) => {
      answered++;
      check(reply, terms.structured);
      // As replies do once they have left.
      queueMicrotask(() => incoming?.relieved());
    },
    sendWith(reply: Buffer, inserts: readonly Insert[]) {
      const pieces = inserts.flatMap(({ at, part }, i) => {
        const bytes = Buffer.alloc(part.length);
        part.readNow(bytes, 0);
        return [reply.subarray(inserts[i - 1]?.at ?? 0, at), bytes];
      });
      this.send(Buffer.concat([...pieces, reply.subarray(inserts.at(-1)!.at)]));
    },
  };
  const pool = new BufferPool();
  let incoming: Incoming | undefined;
  const budget = new Budget(SIZE);
  const transmission = new Transmission(disk, terms, replies, budget, {
    refused: () => {},
    failed: (error) => {
      broken ??= error;
    },
    disconnect: () => incoming!.halt(),
    nonsense: () => {
      good = false;
    },
  });
  const stream = new Pieces();
  incoming = new Incoming(transmission, pool, stream);
  for (const chunk of chunks) stream.take(chunk, (rest) => incoming.feed(rest));
  // What is left over goes on in a later turn.
  while (incoming.holding) await new Promise((resolve) => setImmediate(resolve));
  incoming.halt();
  await transmission.idle();
  if (broken !== undefined) throw broken;
  promise(transmission.inFlight === 0, 'nothing is left under way');
  promise(!budget.exhausted, 'memory is given back');
  budget.take(SIZE, () => {
    room = true;
  });
  promise(room, 'all of it');
  promise(answered <= transmission.requests, `${answered} answers to ${transmission.requests} requests`);
  return good && transmission.requests > 0;
}

/** A reply is one simple reply, or chunks of which the last alone is done. */
function check(reply: Buffer, structured: boolean): void {
  if (reply.readUInt32BE(0) === SIMPLE) {
    promise(!structured || reply.length === 16, 'no data behind a simple reply where chunks were agreed on');
    return;
  }
  let at = 0;
  let done = false;
  while (at < reply.length) {
    promise(structured && !done && reply.readUInt32BE(at) === CHUNK, 'a chunk');
    done = reply.readUInt16BE(at + 4) === 1;
    at += 20 + reply.readUInt32BE(at + 16);
  }
  promise(done && at === reply.length, 'chunks fill the reply, and the last is done');
}
