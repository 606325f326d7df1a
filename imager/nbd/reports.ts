/** What the server tells of its connections: counters by reason, the first of each in the log, and events for the journal. */
import type { Logger } from 'pino';
import type { Disk, DiskError } from '../disks/disk.ts';
import type { Clock } from '../journal/clock.ts';
import type { BootEvent, EventSink } from '../journal/event.ts';
import { Tally } from '../journal/tally.ts';
import type { Holder } from './attachments.ts';
import { type Moved, Traffic } from './traffic.ts';
import type { Fault } from './validate.ts';

/** Refusals of one address for one reason are reported this often at most: each is an entry of the journal. */
const REPORT_MS = 10_000;
const MAX_REPORTED = 1024;

/** Why a connection ended: the client's wish, its silence or its nonsense, or ours. */
export type EndReason =
  | 'disconnect'
  | 'lost'
  | 'protocol'
  | 'tls'
  | 'timeout'
  | 'stalled'
  | 'crowded'
  | 'takeover'
  | 'moved'
  | 'shutdown'
  | 'refused';

/** What is told of a connection. */
export interface Connection {
  readonly address: string;
  readonly port: number;
  /** What the client proved by TLS. */
  readonly identity: string | undefined;
  /** From when it is attached on. */
  readonly disk: Disk | undefined;
  readonly transmission: Moved | undefined;
}

export class Reports {
  readonly traffic = new Traffic();
  readonly #tally: Tally;
  readonly #sink: EventSink;
  readonly #clock: Clock;
  /** When a refusal was reported last, by address and reason. */
  readonly #reported = new Map<string, number>();

  constructor({ log, sink, clock }: { log: Logger; sink: EventSink; clock: Clock }) {
    this.#tally = new Tally(log);
    this.#sink = sink;
    this.#clock = clock;
  }

  /** Counters since the start, by the names that they have in metrics. */
  stats(): Record<string, number> {
    const none = { 'requests.failed': 0, 'requests.refused': 0 };
    return { ...none, ...this.#tally.stats(), ...this.traffic.stats() };
  }

  count(key: string): void {
    this.#tally.count(key);
  }

  /** Counts what should not happen often; the first of each key is logged. */
  notice(key: string, detail: Record<string, unknown>): void {
    this.#tally.notice(key, detail, `NBD ${key} (further ones are only counted)`);
  }

  /** The same of a connection. */
  problem(key: string, { address, port, disk }: Connection, message: string): void {
    this.notice(key, { address, port, export: disk?.name, message });
  }

  /** A request was found invalid before any disk was asked. */
  requestRefused(session: Connection, { fault, why }: Fault): void {
    this.count('requests.refused');
    this.problem(`refused.${fault}`, session, `request refused: ${why}`);
  }

  /** A disk failed what a request asked of it. */
  requestFailed(session: Connection, { code, message }: DiskError): void {
    this.count('requests.failed');
    this.problem(`failed.${code}`, session, message);
  }

  /** Tells the journal of a refusal, unless it just heard of the same. */
  refused(address: string, reason: string, detail?: BootEvent['detail']): void {
    const now = this.#clock.now();
    const key = `${address} ${reason}`;
    if (now - (this.#reported.get(key) ?? Number.NEGATIVE_INFINITY) < REPORT_MS) return;
    if (this.#reported.size >= MAX_REPORTED) this.#reported.clear();
    this.#reported.set(key, now);
    this.#emit({ step: 'refused', address, reason, ...(detail === undefined ? {} : { detail }) });
  }

  /** A client got nowhere with its handshake. */
  denied({ address }: Connection, reason: 'tls' | 'tls-required', why: string): void {
    this.count(`refused.${reason}`);
    this.refused(address, reason, { why });
  }

  /** A client has its disk. */
  attached(session: Connection): void {
    const { name, size, readOnly } = session.disk!;
    const { address, identity } = session;
    this.count('attached');
    this.traffic.begin(session.transmission!);
    const detail = { export: name, size, readOnly, ...(identity === undefined ? {} : { identity }) };
    this.#emit({ step: 'attach', address, detail });
  }

  /** A client has its disk no longer; `by` is the connection that has taken it over. */
  detached(session: Connection, reason: EndReason, by?: Holder): void {
    const { requests, bytesRead, bytesWritten } = session.transmission!;
    this.traffic.end(session.transmission!);
    const whose = by && `${by.address} port ${by.port}`;
    const key = `detached.${reason}`;
    if (whose === undefined) this.count(key);
    else this.problem(key, session, `${whose}, a comeback of the same client, has taken the export over`);
    this.#emit({
      step: 'detach',
      address: session.address,
      ...(reason === 'disconnect' ? {} : { reason }),
      detail: {
        ...{ export: session.disk!.name, requests, bytesRead, bytesWritten },
        ...(whose === undefined ? {} : { port: session.port, by: whose }),
      },
    });
  }

  #emit(event: Omit<BootEvent, 'at' | 'component'>): void {
    this.#sink({ at: this.#clock.now(), component: 'nbd', ...event });
  }
}
