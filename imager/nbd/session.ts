/** One connection: owns the socket, leads it through handshake and transmission, and ends it in order. */
import type { Socket } from 'node:net';
import type { Disk } from '../disks/disk.ts';
import { ProtocolError } from './codec.ts';
import type { ExportFacts, Refused } from './handshake.ts';
import { negotiate } from './negotiation.ts';
import { Reader } from './reader.ts';
import { Transmission } from './transmission.ts';

/** Why a connection ended: the client's wish, its silence or its nonsense, or ours. */
export type EndReason =
  | 'disconnect'
  | 'lost'
  | 'protocol'
  | 'timeout'
  | 'stalled'
  | 'takeover'
  | 'shutdown'
  | 'refused';

/** What a session needs of its server. */
export interface SessionHost {
  readonly handshakeTimeoutMs: number;
  readonly stallTimeoutMs: number;
  list(session: Session): string[];
  describe(name: string, session: Session): ExportFacts | Refused;
  open(name: string, session: Session): Promise<Disk | Refused>;
  attached(session: Session): void;
  detached(session: Session, reason: EndReason): void;
  count(key: string): void;
  problem(key: string, session: Session, message: string): void;
}

/** Bytes of a client that talks on while its export is being opened. */
const MAX_AHEAD = 64 * 1024;
/** Time a client has to take the last replies. */
const LAST_REPLIES_MS = 2_000;
/** Idle time before the kernel asks whether the client is still there (then 10 probes, a second apart). */
const KEEP_ALIVE_MS = 10_000;

export class Session {
  readonly address: string;
  readonly port: number;
  readonly #socket: Socket;
  readonly #host: SessionHost;
  readonly #reader = new Reader(() => this.#more());
  readonly #gone: Promise<void>;
  readonly #started: Promise<void>;
  #disk: Disk | undefined;
  #transmission: Transmission | undefined;
  #stopped: Promise<void> | undefined;
  #flushed: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, address: string, host: SessionHost) {
    this.address = address;
    this.port = socket.remotePort ?? 0;
    this.#socket = socket;
    this.#host = host;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.#gone = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    // What follows is 'close'.
    socket.on('error', () => host.count('socket-errors'));
    socket.once('close', () => this.#lost());
    socket.once('end', () => this.#lost());
    this.#started = this.#start();
  }

  /** The disk that is attached. */
  get disk(): Disk | undefined {
    return this.#disk;
  }

  get transmission(): Transmission | undefined {
    return this.#transmission;
  }

  /** Gives the session the disk it asked for: from now on the session has to close it. */
  grant(disk: Disk): void {
    this.#disk = disk;
    // The client may have left while its disk was being opened.
    if (this.#stopped !== undefined) this.#flushed = this.#closeDisk(disk);
  }

  /** Carries the connection through its handshake. Never rejects. */
  async #start(): Promise<void> {
    this.#timer = setTimeout(
      () => this.#drop('timeout', 'no export was opened in time'),
      this.#host.handshakeTimeoutMs,
    );
    try {
      const disk = await negotiate(this.#reader, (bytes) => this.#socket.write(bytes), {
        list: () => this.#host.list(this),
        describe: (name) => this.#host.describe(name, this),
        open: (name) => this.#host.open(name, this),
      });
      if (disk === undefined) await this.stop('refused');
      else if (this.#stopped === undefined) this.#attach(disk);
    } catch (error) {
      if (error instanceof ProtocolError) this.#drop('protocol', error.message, error.reason);
      else await this.stop('lost');
    }
  }

  #attach(disk: Disk): void {
    clearTimeout(this.#timer);
    this.#transmission = new Transmission(disk, this.#socket, {
      refused: (fault) => this.#host.problem(`refused.${fault}`, this, `request refused: ${fault}`),
      failed: (error) => this.#host.problem(`failed.${error.code}`, this, error.message),
      disconnect: () => void this.stop('disconnect'),
      nonsense: ({ message, reason }) => this.#drop('protocol', message, reason),
    });
    this.#socket.setTimeout(this.#host.stallTimeoutMs, () => {
      if (this.#socket.writableLength > 0) this.#drop('stalled', 'client takes no replies');
    });
    this.#host.attached(this);
    const rest = this.#reader.rest();
    if (rest.length > 0) this.#take(rest);
    // Bytes that are held back are continued, and the socket with them, by the transmission.
    if (!this.#transmission.holding) this.#socket.resume();
  }

  #take(chunk: Buffer): void {
    if (this.#transmission !== undefined) {
      this.#transmission.feed(chunk);
      return;
    }
    if (this.#stopped !== undefined) return;
    this.#reader.feed(chunk);
    if (this.#reader.length > MAX_AHEAD) this.#socket.pause();
  }

  #more(): void {
    if (this.#reader.length <= MAX_AHEAD && this.#socket.isPaused()) this.#socket.resume();
  }

  #lost(): void {
    this.#reader.end(new Error('the client closed the connection'));
    void this.stop('lost');
  }

  #drop(reason: EndReason, message: string, detail: string = reason): void {
    this.#host.problem(`dropped.${detail}`, this, message);
    this.#reader.end(new Error(message));
    void this.stop(reason);
  }

  /**
   * Ends the connection: requests that were taken are carried out and answered, then the disk is given back.
   * Resolves at that moment; `closed` tells when its flush is done. Only the first call's reason counts.
   */
  stop(reason: EndReason): Promise<void> {
    this.#stopped ??= this.#stop(reason);
    return this.#stopped;
  }

  async #stop(reason: EndReason): Promise<void> {
    clearTimeout(this.#timer);
    this.#socket.setTimeout(0);
    if (this.#transmission !== undefined) {
      this.#transmission.halt();
      await this.#transmission.idle();
    }
    if (this.#disk !== undefined) this.#flushed = this.#closeDisk(this.#disk);
    if (this.#transmission !== undefined) this.#host.detached(this, reason);
    this.#hangUp();
  }

  /**
   * Sends what is left and the end of stream, and waits a while for the client's own end: closing a socket with
   * unread bytes in it would reset the connection and could cost the client its last replies.
   */
  #hangUp(): void {
    this.#socket.end();
    this.#socket.resume();
    const impatient = setTimeout(() => this.#socket.destroy(), LAST_REPLIES_MS);
    void this.#gone.then(() => clearTimeout(impatient));
  }

  async #closeDisk(disk: Disk): Promise<void> {
    try {
      await disk.close();
    } catch (error) {
      this.#host.problem('failed.close', this, (error as Error).message);
    }
  }

  /** Resolves once the socket is closed and the disk, given back, is flushed. */
  async closed(): Promise<void> {
    await this.#gone;
    await this.#started;
    await this.#stopped;
    await this.#flushed;
  }
}
