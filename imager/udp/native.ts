/** UDP sockets of udp.c, which `make build` compiles. */
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { lazyAddon } from '../native/addon.ts';
import type { Sent, Series, UdpListener, UdpOptions, UdpSocket } from './socket.ts';

type Handle = { readonly native: unique symbol };

type Receive = (
  offset: number,
  length: number,
  answered: boolean,
  before: number,
  address?: string,
  port?: number,
) => void;

/** See udp.c. */
interface Addon {
  buffer: Buffer;
  open(
    address: string,
    port: number,
    reuse: boolean,
    broadcast: boolean,
    receiveBuffer: number,
    receive: Receive,
    device: string,
  ): Handle;
  port(handle: Handle): number;
  send(handle: Handle, bytes: Uint8Array, port?: number, address?: string): number;
  expect(
    handle: Handle,
    question: Uint8Array,
    head: Uint8Array,
    bodies: Uint8Array,
    size: number,
    port?: number,
    address?: string,
  ): void;
  answers(handle: Handle): number;
  age(handle: Handle): number;
  watch(handle: Handle): void;
  close(handle: Handle, closed: () => void): void;
  interface(address: string): string;
}

/** Datagrams that wait for room at most; what is beyond is lost, as on a wire. */
const MAX_WAITING = 1024;
const { EAGAIN } = constants.errno;

const addon = lazyAddon<Addon>('dist/imager/udp/udp.node');

/** Whether the native sockets are built and load. */
export function hasNative(): boolean {
  return addon() !== undefined;
}

/** Undefined where they are not built. Rejects with the system's error. */
export function openNative(options: UdpOptions): Promise<UdpSocket> | undefined {
  const native = addon();
  if (native === undefined) return undefined;
  try {
    return Promise.resolve(new NativeSocket(native, options));
  } catch (error) {
    return Promise.reject(error);
  }
}

/**
 * The interface that has this IPv4 address, with or without carrier, for UdpOptions.device; undefined where none or several
 * have it, where it is the loopback interface's, and where the native sockets are not built.
 */
export function interfaceOf(address: string): string | undefined {
  return addon()?.interface(address) || undefined;
}

class NativeSocket implements UdpSocket {
  readonly port: number;
  readonly device: string | undefined;
  readonly #addon: Addon;
  readonly #handle: Handle;
  #listener: UdpListener | undefined;
  #waiting: { bytes: Uint8Array; port: number; address: string; sent: Sent }[] = [];
  #closed: Promise<void> | undefined;
  /** Where the last datagram came from, and the view of its bytes: most look the same to us. */
  #from = { address: '', port: 0 };
  #view: Buffer;
  #offset = 0;
  /** The place last named to the addon. */
  #to = { address: '', port: 0 };

  constructor(native: Addon, options: UdpOptions) {
    const { address, port, reuseAddress = false, broadcast = false, receiveBuffer = 0, device } = options;
    this.#addon = native;
    this.device = device;
    this.#view = native.buffer.subarray(0, 0);
    this.#handle = native.open(
      ...[address, port, reuseAddress, broadcast, receiveBuffer],
      (offset, length, answered, before, address, port) =>
        this.#received(offset, length, answered, before, address, port),
      device ?? '',
    );
    this.port = native.port(this.#handle);
  }

  /** What waits is copied. */
  get sending(): boolean {
    return false;
  }

  listen(listener: UdpListener | undefined): void {
    this.#listener = listener;
  }

  send(bytes: Uint8Array, port: number, address: string, sent: Sent = this.#failed): void {
    if (this.#closed !== undefined) return;
    const errno = this.#waiting.length > 0 ? EAGAIN : this.#sendNow(bytes, port, address);
    if (errno === EAGAIN && this.#waiting.length < MAX_WAITING) {
      this.#waiting.push({ bytes: Uint8Array.from(bytes), port, address, sent });
      if (this.#waiting.length === 1) this.#addon.watch(this.#handle);
    } else sent(errno === 0 ? null : systemError(errno, 'sendto'));
  }

  expect({ question, head, bodies, size }: Series, port: number, address: string): void {
    if (this.#closed !== undefined) return;
    if (this.#isLast(port, address)) this.#addon.expect(this.#handle, question, head, bodies, size);
    else this.#addon.expect(this.#handle, question, head, bodies, size, port, address);
  }

  answers(): { count: number; msAgo: number } {
    const count = this.#closed === undefined ? this.#addon.answers(this.#handle) : 0;
    return { count, msAgo: count === 0 ? 0 : this.#addon.age(this.#handle) };
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => this.#addon.close(this.#handle, resolve));
    this.#waiting = [];
    return this.#closed;
  }

  /** Gives 0 or an errno. */
  #sendNow(bytes: Uint8Array, port: number, address: string): number {
    return this.#isLast(port, address)
      ? this.#addon.send(this.#handle, bytes)
      : this.#addon.send(this.#handle, bytes, port, address);
  }

  /** Whether the last call named this place too, as most do. */
  #isLast(port: number, address: string): boolean {
    if (port === this.#to.port && address === this.#to.address) return true;
    this.#to = { address, port };
    return false;
  }

  #received(
    offset: number,
    length: number,
    answered: boolean,
    before: number,
    address?: string,
    port?: number,
  ): void {
    if (length === -EAGAIN) this.#sendWaiting();
    else if (length < 0) this.#listener?.failed(systemError(-length, 'recv'));
    else {
      if (address !== undefined && port !== undefined) this.#from = { address, port };
      this.#listener?.receive(
        this.#bytes(offset, length),
        this.#from.address,
        this.#from.port,
        answered,
        before,
      );
    }
  }

  #bytes(offset: number, length: number): Buffer {
    if (offset !== this.#offset || length !== this.#view.length) {
      this.#view = this.#addon.buffer.subarray(offset, offset + length);
      this.#offset = offset;
    }
    return this.#view;
  }

  readonly #failed: Sent = (error) => {
    if (error !== null) this.#listener?.failed(error);
  };

  #sendWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { bytes, port, address, sent } of waiting) this.send(bytes, port, address, sent);
  }
}

function systemError(errno: number, syscall: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${syscall} ${code}`), { code, errno: -errno, syscall });
}
