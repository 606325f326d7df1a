/** One connection: owns the socket, leads it through handshake and transmission, and ends it in order. */
import type { Socket } from 'node:net';
import type { Disk } from '../disks/disk.ts';
import type { Holder } from './attachments.ts';
import type { Budget } from './budget.ts';
import type { BufferPool } from './buffer-pool.ts';
import { ProtocolError } from './codec.ts';
import type { ExportFacts, Refused } from './handshake.ts';
import { HandshakeTime } from './handshake-time.ts';
import { Incoming } from './incoming.ts';
import { negotiate, type Talk, type Terms } from './negotiation.ts';
import { Patience } from './patience.ts';
import { Reader } from './reader.ts';
import { StreamReplies } from './replies.ts';
import type { ReplyMemory } from './reply-memory.ts';
import type { EndReason, Reports } from './reports.ts';
import type { Stream } from './stream.ts';
import { takeOver } from './stream-native.ts';
import { PlainStream } from './stream-plain.ts';
import { TlsFailure, type TlsGate } from './tls.ts';
import { Transmission } from './transmission.ts';

/** What a session needs of its server. */
export interface SessionHost {
  readonly handshakeTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly tls: TlsGate | undefined;
  /** Memory of all connections. */
  readonly budget: Budget;
  readonly pool: BufferPool;
  readonly replyMemory: ReplyMemory;
  readonly reports: Reports;
  /** One address for all those of a client. */
  clientAt(address: string): string;
  list(session: Session): string[];
  describe(name: string, session: Session): ExportFacts | Refused;
  open(name: string, session: Session): Promise<Disk | Refused>;
}

/** Bytes of a client that talks on while its export is being opened. */
const MAX_AHEAD = 64 * 1024;
/** Time a client has to take the last replies. */
const LAST_REPLIES_MS = 2_000;
/** Idle time before the kernel asks whether the client is still there (then 10 probes, a second apart). */
const KEEP_ALIVE_MS = 10_000;

export class Session implements Holder {
  readonly address: string;
  readonly port: number;
  /** TCP's; under TLS its TLS socket. While requests are served, the stream is what counts. */
  #socket: Socket;
  #stream: Stream | undefined;
  readonly #host: SessionHost;
  readonly #reader = new Reader(() => this.#more());
  readonly #gone: Promise<void>;
  #leave: () => void = () => {};
  readonly #started: Promise<void>;
  #identity: string | undefined;
  #disk: Disk | undefined;
  /** Gives the disk back. */
  #release: () => Promise<void> = async () => {};
  #transmission: Transmission | undefined;
  #incoming: Incoming | undefined;
  #patience: Patience | undefined;
  #stopped: Promise<void> | undefined;
  #flushed: Promise<void> = Promise.resolve();
  readonly #time: HandshakeTime;
  readonly #take = (chunk: Buffer): void => {
    if (this.#stopped !== undefined) return;
    this.#reader.feed(chunk);
    if (this.#reader.length > MAX_AHEAD) this.#socket.pause();
  };

  constructor(socket: Socket, address: string, host: SessionHost) {
    this.address = address;
    this.port = socket.remotePort ?? 0;
    this.#socket = socket;
    this.#host = host;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.#gone = new Promise((resolve) => {
      this.#leave = resolve;
    });
    this.#listen(socket);
    const late = (): void => this.#drop('timeout', 'no export was opened in time');
    this.#time = new HandshakeTime(host.handshakeTimeoutMs, late);
    this.#started = this.#start();
  }

  #listen(socket: Socket): void {
    socket.on('data', this.#take);
    socket.on('error', this.#failed);
    socket.once('close', this.#closed);
    socket.once('end', this.#lost);
  }

  #stopListening(socket: Socket): void {
    socket.off('data', this.#take);
    socket.off('error', this.#failed);
    socket.off('close', this.#closed);
    socket.off('end', this.#lost);
  }

  // What follows is 'close'.
  readonly #failed = (): void => this.#host.reports.count('socket-errors');

  readonly #closed = (): void => {
    this.#leave();
    this.#lost();
  };

  readonly #lost = (): void => {
    this.#reader.end(new Error('the client closed the connection'));
    void this.stop('lost');
  };

  /** What the client proved by TLS. */
  get identity(): string | undefined {
    return this.#identity;
  }

  get client(): string {
    return this.#identity === undefined ? `at ${this.#host.clientAt(this.address)}` : `as ${this.#identity}`;
  }

  /** The disk that is attached. */
  get disk(): Disk | undefined {
    return this.#disk;
  }

  get transmission(): Transmission | undefined {
    return this.#transmission;
  }

  get requests(): number {
    return this.#transmission?.requests ?? 0;
  }

  /** Gives the session the disk it asked for: from now on the session has to give it back with `release`. */
  grant(disk: Disk, release: () => Promise<void>): void {
    this.#disk = disk;
    this.#release = release;
    // The client may have left while its disk was being opened.
    if (this.#stopped !== undefined) this.#flushed = this.#giveBack();
  }

  /** Carries the connection through its handshake. Never rejects. */
  async #start(): Promise<void> {
    const talk: Talk = {
      reader: this.#reader,
      send: (bytes: Buffer) => new Promise((sent) => this.#socket.write(bytes, () => sent())),
      tls: this.#host.tls?.mode ?? 'off',
      tlsMissing: () =>
        this.#host.reports.denied(this, 'tls-required', 'the client asked for an export without TLS'),
      startTls: () => this.#startTls(),
      optionDone: () => this.#time.optionDone(),
    };
    try {
      const agreed = await negotiate(talk, {
        list: () => this.#host.list(this),
        describe: (name) => this.#host.describe(name, this),
        open: (name) => this.#host.open(name, this),
      });
      if (agreed === undefined) await this.stop('refused');
      else if (this.#stopped === undefined) this.#attach(agreed.disk, agreed.terms);
    } catch (error) {
      if (error instanceof ProtocolError) this.#drop('protocol', error.message, error.reason);
      else if (error instanceof TlsFailure) {
        this.#host.reports.denied(this, 'tls', error.message);
        this.#drop('tls', error.message);
      } else await this.stop('lost');
    }
  }

  async #startTls(): Promise<void> {
    const { tls } = this.#host;
    const plain = this.#socket;
    plain.off('data', this.#take);
    // An option that came with the one before it, of a client that has gone since.
    if (this.#stopped !== undefined || plain.destroyed)
      throw new TlsFailure('the client left before the TLS handshake');
    const { socket, identity } = await tls!.secure(plain);
    if (this.#stopped !== undefined) {
      socket.destroy();
      throw new TlsFailure('too late');
    }
    this.#socket = socket;
    this.#identity = identity;
    this.#listen(socket);
    this.#host.reports.count('secured');
  }

  #attach(disk: Disk, terms: Terms): void {
    this.#time.end();
    const { pool, replyMemory, budget } = this.#host;
    const socket = this.#socket;
    socket.pause();
    this.#stopListening(socket);
    // What Node holds of the stream by now.
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) this.#reader.feed(chunk);
    const stream = takeOver(socket) ?? new PlainStream(socket);
    const replies = new StreamReplies(stream, replyMemory, budget, () => this.#incoming?.relieved());
    const transmission = new Transmission(disk, terms, replies, budget, {
      refused: (fault) => this.#host.reports.requestRefused(this, fault),
      failed: (error) => this.#host.reports.requestFailed(this, error),
      disconnect: () => void this.stop('disconnect'),
      nonsense: ({ message, reason }) => this.#drop('protocol', message, reason),
    });
    const incoming = new Incoming(transmission, pool, stream);
    this.#stream = stream;
    this.#patience = new Patience(replies, incoming, transmission);
    this.#transmission = transmission;
    this.#incoming = incoming;
    stream.watchQuiet(this.#host.stallTimeoutMs, () => {
      if (stream.unsent > 0) this.#drop('stalled', 'client takes no replies');
      else if (incoming.waiting) this.#drop('stalled', 'client sends no more of a request');
    });
    this.#host.reports.attached(this);
    const rest = this.#reader.rest();
    if (rest.length > 0) incoming.feed(rest);
    stream.listen({
      receive: (bytes) => incoming.feed(bytes),
      drained: () => incoming.relieved(),
      ended: (error) => {
        if (error !== undefined) this.#failed();
        this.#lost();
      },
      closed: this.#closed,
    });
    // Bytes that are held back are continued, and the stream with them, by `incoming`.
    if (incoming.holding) stream.pause();
  }

  #more(): void {
    if (this.#reader.length <= MAX_AHEAD && this.#socket.isPaused()) this.#socket.resume();
  }

  #drop(reason: EndReason, message: string, detail: string = reason): void {
    this.#host.reports.problem(`dropped.${detail}`, this, message);
    this.#reader.end(new Error(message));
    void this.stop(reason);
  }

  /** Ends the connection at once: others need its place, or the memory it holds. */
  evict(why: string): void {
    this.#drop('crowded', why);
    (this.#stream ?? this.#socket).destroy();
  }

  /** Bytes of memory that its client keeps us waiting with. To be asked from time to time. */
  heldIdly(): number {
    return this.#patience?.look() ?? 0;
  }

  /**
   * Ends the connection: requests that were taken are carried out and answered, then the disk is given back.
   * Resolves at that moment; `closed` tells when its flush is done. Only the first call's reason counts,
   * and who takes over (`by`).
   */
  stop(reason: EndReason, by?: Holder): Promise<void> {
    this.#stopped ??= this.#stop(reason, by);
    return this.#stopped;
  }

  async #stop(reason: EndReason, by?: Holder): Promise<void> {
    this.#time.end();
    this.#stream?.watchQuiet(0, () => {});
    if (this.#transmission !== undefined) {
      this.#incoming?.halt();
      this.#transmission.halt();
      await this.#transmission.idle();
    }
    if (this.#disk !== undefined) this.#flushed = this.#giveBack();
    if (this.#transmission !== undefined) this.#host.reports.detached(this, reason, by);
    this.#hangUp();
  }

  /**
   * Sends what is left and the end of stream, and waits a while for the client's own end: closing a socket with
   * unread bytes in it would reset the connection and could cost the client its last replies.
   */
  #hangUp(): void {
    const ending = this.#stream ?? this.#socket;
    ending.end();
    ending.resume();
    const impatient = setTimeout(() => ending.destroy(), LAST_REPLIES_MS);
    void this.#gone.then(() => clearTimeout(impatient));
  }

  async #giveBack(): Promise<void> {
    try {
      await this.#release();
    } catch (error) {
      this.#host.reports.problem('failed.close', this, (error as Error).message);
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
