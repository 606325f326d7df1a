/**
 * A connection's byte stream on stream.c, which `make build` compiles. It is taken over from Node's socket when the
 * handshake is done: the native side duplicates the descriptor and Node's side closes its own, which ends nothing as
 * long as the duplicate is open, so that at no time two read from it.
 */
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { TLSSocket } from 'node:tls';
import { getSystemErrorName } from 'node:util';
import type { FilePart } from '../disks/disk.ts';
import { lazyAddon } from '../native/addon.ts';
import { isPaced } from './pacing.ts';
import { ReceiveRoom } from './receive-room.ts';
import type { Stream, StreamListener } from './stream.ts';

type Handle = { readonly native: unique symbol };

/** See stream.c. */
interface Addon {
  open(fd: number, wake: (what: number, length: number) => void): Handle;
  room(bytes: Buffer): void;
  fill(handle: Handle, bytes: Buffer): void;
  left(handle: Handle): number;
  send(handle: Handle, bytes: Buffer): number;
  sendFile(handle: Handle, bytes: Buffer, fd: number, offset: number, length: number): number;
  congestion(handle: Handle): string;
  watch(handle: Handle, events: number): void;
  shut(handle: Handle): void;
  close(handle: Handle): void;
  awake(): [came: number, vain: number];
}

const [CAME, ENDED, WRITABLE] = [0, 1, 2];
const [INCOMING, ROOM_TO_SEND] = [1, 2];
const { EAGAIN } = constants.errno;
/** What waits to be sent is copied up to this length, so that a few bytes do not hold on to a lot of memory. */
const COPIED = 16 * 1024;
const NOTHING = (): void => undefined;
const EMPTY = Buffer.alloc(0);
/** How often within the time a stream has to be quiet is looked at it. */
const QUARTERS = 4;

const library = lazyAddon(
  'dist/imager/nbd/stream.node',
  (addon: Addon): Library => ({
    addon,
    room: new ReceiveRoom((bytes) => addon.room(bytes)),
  }),
);

/** Whether the native streams are built and load. */
export function hasNativeStreams(): boolean {
  return library() !== undefined;
}

/** How often this process stayed awake for the request that follows from a reply, and whether it came then. */
export function awakeCounts(): Record<'awake.came' | 'awake.vain', number> {
  const [came, vain] = library()?.addon.awake() ?? [0, 0];
  return { 'awake.came': came, 'awake.vain': vain };
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
  room: ReceiveRoom;
}

interface Unsent {
  bytes: Buffer;
  sent: () => void;
}

class NativeStream implements Stream {
  readonly #addon: Addon;
  readonly #room: ReceiveRoom;
  readonly #handle: Handle;
  readonly #sendsFiles: boolean;
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
    this.#sendsFiles = !isPaced(addon.congestion(this.#handle));
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
    let [quarters, left] = [0, 0];
    this.#timer = setInterval(() => {
      // What fills a part of a range is not told.
      const before = left;
      left = this.#addon.left(this.#handle);
      quarters = this.#stirred || left !== before ? 0 : quarters + 1;
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

  get takesFiles(): boolean {
    return this.#sendsFiles && !this.#closed && !this.#ending && this.#queue.length === 0;
  }

  sendFile(bytes: Buffer, part: FilePart): number {
    if (!this.takesFiles) return 0;
    return this.#sent(part.lend((fd, at) => this.#addon.sendFile(this.#handle, bytes, fd, at, part.length)));
  }

  #sendNow(bytes: Buffer): number {
    return this.#sent(this.#addon.send(this.#handle, bytes));
  }

  /** How many bytes the system took of what was sent with result `count`. */
  #sent(count: number): number {
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
    this.#target = EMPTY;
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
    if (filled !== undefined) this.#target = EMPTY;
    filled?.();
    if (length === 0 || this.#closed) return;
    this.#listener?.receive(this.#room.first(length));
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
