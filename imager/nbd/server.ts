/**
 * The NBD server: accepts connections, opens exports for them, and keeps the rule that a writable disk has one
 * client. A client that comes back takes its disk over from its own earlier connections, which the server may not know
 * to be dead yet: a node that was cut off or rebooted is never locked out by itself (attachments.ts).
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Logger } from 'pino';
import type { Disk, DiskCatalog, DiskClient } from '../disks/disk.ts';
import type { Clock } from '../journal/clock.ts';
import type { EventSink } from '../journal/event.ts';
import { Attachments } from './attachments.ts';
import { Budget } from './budget.ts';
import { BufferPool } from './buffer-pool.ts';
import type { ExportFacts, Refused } from './handshake.ts';
import { ReplyMemory } from './reply-memory.ts';
import { Reports } from './reports.ts';
import { Session, type SessionHost } from './session.ts';
import { awakeCounts } from './stream-native.ts';
import { TlsGate, type TlsSettings } from './tls.ts';

export interface NbdServerOptions {
  address: string;
  /** 0: chosen by the system. */
  port: number;
  catalog: DiskCatalog;
  sink: EventSink;
  clock: Clock;
  log: Logger;
  /** Without it, clients are known by their address alone. */
  tls?: TlsSettings;
  /** One address for all those of a client that has several. Default: each is a client of its own. */
  clientAt?: (address: string) => string;
  /** Default 1024. Where all are taken, a newcomer has the place of the one that is the longest without an export. */
  maxConnections?: number;
  /** Of them from one address. Default 32: a node has some a disk, and for a while those it lost. */
  maxConnectionsPerAddress?: number;
  /**
   * Bytes of data and of replies that all connections together may have under way, default 128 MiB; one has 8 MiB, or
   * one request. Where they are used up, clients that neither take replies nor finish requests are dropped.
   */
  maxPendingBytes?: number;
  /** Time a client has for each option until it opens an export; ten times that for all. Default 30 s. */
  handshakeTimeoutMs?: number;
  /** Time after which a client that takes no replies, or leaves a request half sent, is dropped. Default 120 s. */
  stallTimeoutMs?: number;
}

export interface ConnectionView {
  address: string;
  port: number;
  /** What the client proved by TLS. */
  identity?: string;
  state: 'handshake' | 'transmission';
  /** Name of the attached disk. */
  export?: string;
  readOnly?: boolean;
  requests: number;
  inFlight: number;
  bytesRead: number;
  bytesWritten: number;
}

/**
 * Connections that wait to be accepted. Who finds no room here tries again after a second; but all that wait are accepted in
 * one turn, in which nobody else is served.
 */
const BACKLOG = 1024;
/** How often clients that keep us waiting are looked for, where memory is short. */
const LOOK_MS = 500;
/** Clients dropped at one look: each takes time that the others wait. */
const MOST_EVICTED = 48;

export class NbdServer implements SessionHost {
  readonly handshakeTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly tls: TlsGate | undefined;
  readonly budget: Budget;
  readonly pool = new BufferPool();
  readonly reports: Reports;
  readonly replyMemory = new ReplyMemory(this.pool);
  readonly #options: NbdServerOptions;
  readonly #server: Server;
  readonly #sessions = new Set<Session>();
  readonly #maxConnections: number;
  readonly #maxPerAddress: number;
  readonly #looks: NodeJS.Timeout;
  readonly #attachments = new Attachments();
  /** Opens of one export run one after another: the last of each. */
  readonly #turns = new Map<string, Promise<unknown>>();
  #closing = false;

  private constructor(options: NbdServerOptions) {
    this.#options = options;
    this.reports = new Reports(options);
    this.#maxConnections = options.maxConnections ?? 1024;
    this.#maxPerAddress = options.maxConnectionsPerAddress ?? 32;
    this.handshakeTimeoutMs = options.handshakeTimeoutMs ?? 30_000;
    this.stallTimeoutMs = options.stallTimeoutMs ?? 120_000;
    this.budget = new Budget(options.maxPendingBytes ?? 128 * 1024 * 1024);
    this.#looks = setInterval(() => this.#makeRoom(), LOOK_MS).unref();
    this.tls = options.tls === undefined ? undefined : new TlsGate(options.tls);
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** Resolves once it listens; rejects where the address cannot be had, or a certificate or key is none. */
  static async start(options: NbdServerOptions): Promise<NbdServer> {
    const server = new NbdServer(options);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject);
      server.#server.listen({ port: options.port, host: options.address, backlog: BACKLOG }, () => {
        server.#server.off('error', reject);
        resolve();
      });
    });
    server.#server.on('error', (error) => server.reports.notice('accept-errors', { message: error.message }));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  stats(): Record<string, number> {
    return { ...this.reports.stats(), ...awakeCounts() };
  }

  /** Of the moment: connections that have an export, and bytes of the memory that all share. */
  gauges(): { 'connections.attached': number; 'pending.bytes': number } {
    return { 'connections.attached': this.reports.traffic.attached, 'pending.bytes': this.budget.used };
  }

  connections(): ConnectionView[] {
    return [...this.#sessions].map(({ address, port, identity, disk, transmission }) => ({
      address,
      port,
      ...(identity === undefined ? {} : { identity }),
      state: transmission === undefined ? 'handshake' : 'transmission',
      ...(disk === undefined ? {} : { export: disk.name, readOnly: disk.readOnly }),
      requests: transmission?.requests ?? 0,
      inFlight: transmission?.inFlight ?? 0,
      bytesRead: transmission?.bytesRead ?? 0,
      bytesWritten: transmission?.bytesWritten ?? 0,
    }));
  }

  /** A client is at `address` now: its connections from others end, in order, and it makes them anew from there. */
  follow(address: string): void {
    const client = this.clientAt(address);
    for (const session of this.#sessions) {
      const elsewhere = session.identity === undefined && session.address !== address;
      if (elsewhere && this.clientAt(session.address) === client) void session.stop('moved');
    }
  }

  /** Takes no new connections, answers what is in flight, closes the connections, flushes and closes their disks. */
  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#looks);
    const listening = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await Promise.all(
      [...this.#sessions].map(async (session) => {
        await session.stop('shutdown');
        await session.closed();
      }),
    );
    await Promise.all(this.#turns.values());
    await listening;
  }

  #accept(socket: Socket): void {
    this.reports.count('accepted');
    const address = socket.remoteAddress?.replace(/^::ffff:/, '');
    // Its client reset it before it was taken: nobody knows whose it was.
    if (address === undefined) {
      this.reports.count('dropped.gone');
      socket.destroy();
      return;
    }
    const reason = this.#noPlaceFor(address);
    if (reason !== undefined) {
      this.reports.notice(`refused.${reason}`, { address, connections: this.#sessions.size });
      this.reports.refused(address, reason);
      socket.destroy();
      return;
    }
    const session = new Session(socket, address, this);
    this.#sessions.add(session);
    void session.closed().then(() => this.#sessions.delete(session));
  }

  /** Why a connection from `address` is not taken; undefined where it is. */
  #noPlaceFor(address: string): 'shutdown' | 'full' | 'address-full' | undefined {
    if (this.#closing) return 'shutdown';
    const own = [...this.#sessions].filter((session) => session.address === address);
    if (own.length >= this.#maxPerAddress) return 'address-full';
    if (this.#sessions.size < this.#maxConnections) return undefined;
    // They are in the order they came.
    const idle = [...this.#sessions].find((session) => session.disk === undefined);
    if (idle === undefined) return 'full';
    this.#sessions.delete(idle);
    idle.evict('it opened nothing yet, and there were too many connections');
    return undefined;
  }

  /** Where memory is used up: drops the clients that keep us waiting with most of it, a few at a time. */
  #makeRoom(): void {
    const idle = [...this.#sessions]
      .map((session) => ({ session, bytes: session.heldIdly() }))
      .filter(({ bytes }) => bytes > 0);
    if (!this.budget.exhausted) return;
    for (const { session } of idle.sort((a, b) => b.bytes - a.bytes).slice(0, MOST_EVICTED))
      session.evict('it neither takes its replies nor finishes its requests, and others need the memory');
  }

  clientAt(address: string): string {
    return this.#options.clientAt?.(address) ?? address;
  }

  list(session: Session): string[] {
    return this.#options.catalog.list(clientOf(session));
  }

  describe(name: string, session: Session): ExportFacts | Refused {
    try {
      return this.#options.catalog.describe(name, clientOf(session));
    } catch (error) {
      return { refused: 'failed', why: (error as Error).message };
    }
  }

  /** Opens an export for a session; refusals are counted and reported. Never rejects. */
  async open(name: string, session: Session): Promise<Disk | Refused> {
    const found = this.#closing
      ? ({ refused: 'shutdown', why: 'the server is being shut down' } as const)
      : this.describe(name, session);
    // Only names that exist get a turn: others would fill the map.
    const opened = 'refused' in found ? found : await this.#inTurn(name, () => this.#openNow(name, session));
    if ('refused' in opened) {
      this.reports.problem(`refused.${opened.refused}`, session, opened.why);
      this.reports.refused(session.address, opened.refused, { export: name.slice(0, 80), why: opened.why });
    }
    return opened;
  }

  async #openNow(name: string, session: Session): Promise<Disk | Refused> {
    const now = this.#options.clock.now();
    try {
      const shared = await this.#attachments.join(name, session, now);
      const disk = shared ?? (await this.#options.catalog.open(name, clientOf(session)));
      if ('refused' in disk) return disk;
      if (disk.readOnly) {
        session.grant(disk, () => disk.close());
        return disk;
      }
      if (shared === undefined) this.#attachments.add(disk, session, now);
      session.grant(disk, () => this.#attachments.leave(disk, session));
      return disk;
    } catch (error) {
      return { refused: 'failed', why: (error as Error).message };
    }
  }

  #inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(name) ?? Promise.resolve()).then(work);
    this.#turns.set(name, turn);
    return turn;
  }
}

function clientOf({ address, identity }: Session): DiskClient {
  return identity === undefined ? { address } : { address, identity };
}
