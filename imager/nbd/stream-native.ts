/**
 * A connection's byte stream on stream.c, which `make build` compiles. It is taken over from Node's socket when the
 * handshake is done: the native side duplicates the descriptor and Node's side closes its own, which ends nothing as
 * long as the duplicate is open, so that at no time two read from it.
 */
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { TLSSocket } from 'node:tls';
import { getSystemErrorName } from 'node:util';
import { lazyAddon } from '../native/addon.ts';
import type { Stream, StreamListener } from './stream.ts';

type Handle = { readonly native: unique symbol };

/** See stream.c. */
interface Addon {
  open(fd: number, wake: (what: number, length: number) => void): Handle;
  room(bytes: Buffer): void;
  fill(handle: Handle, bytes: Buffer): void;
  send(handle: Handle, bytes: Buffer): number;
  watch(handle: Handle, events: number): void;
  shut(handle: Handle): void;
  close(handle: Handle): void;
}

const [CAME, ENDED, WRITABLE] = [0, 1, 2];
const [INCOMING, ROOM_TO_SEND] = [1, 2];
const { EAGAIN } = constants.errno;
/** Bytes of one read: what one client sends ahead must not keep the others waiting. */
const ROOM_SIZE = 64 * 1024;
/** What waits to be sent is copied up to this length, so that a few bytes do not hold on to a lot of memory. */
const COPIED = 16 * 1024;
/** Buffers kept for when one is held back. */
const MAX_SPARES = 16;
const NOTHING = (): void => undefined;
const EMPTY = Buffer.alloc(0);
/** How often within the time a stream has to be quiet is looked at it. */
const QUARTERS = 4;

const library = lazyAddon(
  'dist/imager/nbd/stream.node',
  (addon: Addon): Library => ({
    addon,
    room: new Room(addon),
  }),
);

/** Whether the native streams are built and load. */
export function hasNativeStreams(): boolean {
  return library() !== undefined;
}

/**
 * Takes the connection of `socket` over, of which all has been read that Node holds of it, and closes the socket.
 * Undefined, and nothing done, where the native streams are not built, where it is not TCP alone, where Node has not
 * sent all yet, and where the system has no more descriptors.
 */
export function takeOver(socket: Socket): Stream | undefined {
  const native = library();
  const { _handle: handle } = socket as { _handle?: { fd?: number } };
  const fd = handle?.fd ?? -1;
  if (native === undefined || socket instanceof TLSSocket || fd < 0 || socket.writableLength > 0)
    return undefined;
  try {
    const stream = new NativeStream(native, fd);
    socket.destroy();
    return stream;
  } catch {
    return undefined;
  }
}

interface Library {
  addon: Addon;
  room: Room;
}

/** The buffer that all streams read into; another one takes its place while somebody keeps what is in it. */
class Room {
  readonly #addon: Addon;
  readonly #spares: KeptBytes[] = [];
  #current: KeptBytes;

  constructor(addon: Addon) {
    this.#addon = addon;
    this.#current = fresh();
    addon.room(this.#current.bytes);
  }

  get bytes(): Buffer {
    return this.#current.bytes;
  }

  keep(): () => void {
    const kept = this.#current;
    kept.users++;
    return () => {
      kept.users--;
      if (kept.users === 0 && kept !== this.#current && this.#spares.length < MAX_SPARES)
        this.#spares.push(kept);
    };
  }

  /** To be called after each time bytes were received. */
  turn(): void {
    if (this.#current.users === 0) return;
    this.#current = this.#spares.pop() ?? fresh();
    this.#addon.room(this.#current.bytes);
  }
}

interface KeptBytes {
  bytes: Buffer;
  users: number;
}

function fresh(): KeptBytes {
  return { bytes: Buffer.allocUnsafeSlow(ROOM_SIZE), users: 0 };
}

interface Unsent {
  bytes: Buffer;
  sent: () => void;
}

class NativeStream implements Stream {
  readonly #addon: Addon;
  readonly #room: Room;
  readonly #handle: Handle;
  #listener: StreamListener | undefined;
  #filled: (() => void) | undefined;
  /** What is being filled: kept from the collector. */
  #target: Buffer = EMPTY;
  #queue: Unsent[] = [];
  #unsent = 0;
  #paused = true;
  #watched = 0;
  /** The other side sends no more. */
  #ended = false;
  /** We send no more than what is in the queue. */
  #ending = false;
  #closed = false;
  /** Something came in or left since the timer looked last. */
  #stirred = false;
  #timer: NodeJS.Timeout | undefined;

  constructor({ addon, room }: Library, fd: number) {
    this.#addon = addon;
    this.#room = room;
    this.#handle = addon.open(fd, (what, length) => this.#wake(what, length));
  }

  get unsent(): number {
    return this.#unsent;
  }

  listen(listener: StreamListener): void {
    this.#listener = listener;
    this.resume();
  }

  pause(): void {
    this.#paused = true;
    this.#watch();
  }

  resume(): void {
    this.#paused = false;
    this.#watch();
  }

  fill(target: Buffer, filled: () => void): void {
    this.#filled = filled;
    this.#fill(target);
  }

  stopFilling(): void {
    if (this.#filled === undefined || this.#closed) return;
    this.#filled = undefined;
    this.#fill(EMPTY);
  }

  #fill(target: Buffer): void {
    this.#target = target;
    if (!this.#closed) this.#addon.fill(this.#handle, this.#target);
  }

  keep(): () => void {
    return this.#room.keep();
  }

  watchQuiet(ms: number, quiet: () => void): void {
    clearInterval(this.#timer);
    if (ms === 0) return;
    let quarters = 0;
    this.#timer = setInterval(() => {
      quarters = this.#stirred ? 0 : quarters + 1;
      this.#stirred = false;
      if (quarters % QUARTERS === 0 && quarters > 0) quiet();
    }, ms / QUARTERS).unref();
  }

  send(bytes: Buffer, sent: () => void): void {
    const open = !this.#closed && !this.#ending;
    const gone = open && this.#queue.length === 0 ? this.#sendNow(bytes) : 0;
    // What failed to be sent has closed the stream.
    if (gone === bytes.length || !open || this.#closed) {
      sent();
      return;
    }
    const rest = bytes.subarray(gone);
    this.#unsent += rest.length;
    if (rest.length <= COPIED) {
      this.#queue.push({ bytes: Buffer.from(rest), sent: NOTHING });
      sent();
    } else this.#queue.push({ bytes: rest, sent });
    this.#watch();
  }

  /** How many of the bytes the system took. */
  #sendNow(bytes: Buffer): number {
    const count = this.#addon.send(this.#handle, bytes);
    if (count > 0) this.#stirred = true;
    if (count >= 0) return count;
    if (count !== -EAGAIN) this.#fail(-count);
    return 0;
  }

  #sendQueue(): void {
    while (this.#queue.length > 0) {
      const first = this.#queue[0]!;
      const gone = this.#sendNow(first.bytes);
      if (this.#closed) return;
      this.#unsent -= gone;
      if (gone < first.bytes.length) {
        first.bytes = first.bytes.subarray(gone);
        return;
      }
      this.#queue.shift();
      first.sent();
    }
    this.#watch();
    this.#listener?.drained();
    if (this.#ending && this.#queue.length === 0) this.#shut();
  }

  end(): void {
    if (this.#ending || this.#closed) return;
    this.#ending = true;
    if (this.#queue.length === 0) this.#shut();
  }

  #shut(): void {
    if (this.#ended) this.destroy();
    else if (!this.#closed) this.#addon.shut(this.#handle);
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#addon.close(this.#handle);
    const queue = this.#queue;
    this.#queue = [];
    this.#unsent = 0;
    for (const { sent } of queue) sent();
    // In a turn of its own, as Node's sockets do.
    setImmediate(() => this.#listener?.closed());
  }

  #watch(): void {
    const incoming = this.#paused || this.#ended ? 0 : INCOMING;
    const events = incoming | (this.#queue.length > 0 ? ROOM_TO_SEND : 0);
    if (events === this.#watched || this.#closed) return;
    this.#watched = events;
    this.#addon.watch(this.#handle, events);
  }

  #wake(what: number, length: number): void {
    this.#stirred = true;
    if (what === CAME) this.#came(length);
    else if (what === WRITABLE) this.#sendQueue();
    else if (what === ENDED) this.#end();
    else this.#fail(length);
  }

  #came(length: number): void {
    const filled = this.#filled;
    this.#filled = undefined;
    filled?.();
    if (length === 0 || this.#closed) return;
    this.#listener?.receive(this.#room.bytes.subarray(0, length));
    this.#room.turn();
  }

  #end(): void {
    this.#ended = true;
    this.#watch();
    this.#listener?.ended();
    if (this.#ending && this.#queue.length === 0) this.destroy();
  }

  #fail(errno: number): void {
    const code = getSystemErrorName(-errno);
    this.destroy();
    this.#listener?.ended(Object.assign(new Error(`NBD connection: ${code}`), { code, errno: -errno }));
  }
}
