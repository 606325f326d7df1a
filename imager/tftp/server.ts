/** The TFTP server: listens for requests, keeps the limits, and gives each accepted one a session of its own. */
import type { Logger } from 'pino';
import { type BootFile, type BootFiles, NotServed } from '../images/boot-files.ts';
import type { Clock } from '../journal/clock.ts';
import type { BootEvent, EventSink } from '../journal/event.ts';
import { Tally } from '../journal/tally.ts';
import { openUdp } from '../udp/open.ts';
import type { UdpSocket } from '../udp/socket.ts';
import { type AdmissionLimits, admit } from './admission.ts';
import { readAheadOf } from './blocks.ts';
import { type ChunkReader, Chunks } from './chunks.ts';
import { decodePacket, ERROR_CODE, encodePacket, OPCODE, type Request, TftpPacketError } from './codec.ts';
import { DEFAULT_LIMITS, type Limits, negotiate } from './options.ts';
import { keyOf, type Peer, type ReadRequest, RequestTable } from './requests.ts';
import { Session } from './session.ts';
import { netascii, octets } from './source.ts';
import type { Outcome } from './transfer.ts';

export interface TftpServerOptions {
  /** Numeric. On a machine with several addresses give one: replies leave from it, as clients expect. */
  address: string;
  /** 0: chosen by the system. */
  port: number;
  files: BootFiles;
  sink: EventSink;
  clock: Clock;
  log: Logger;
  /** Transfers under way at once, at most. Default 2048. */
  maxTransfers?: number;
  /** The same for one client address. Default 16. */
  maxPerClient?: number;
  limits?: Partial<Limits>;
}

type RefusalReason =
  | 'unknown-file'
  | 'access'
  | 'open-failed'
  | 'write'
  | 'mode'
  | 'option'
  | 'too-many-transfers'
  | 'too-many-per-client';

export class TftpServer {
  readonly #options: TftpServerOptions;
  readonly #socket: UdpSocket;
  readonly #tally: Tally;
  readonly #limits: Limits & AdmissionLimits;
  readonly #requests = new RequestTable();
  readonly #chunks = new Chunks();
  #closing = false;

  private constructor(options: TftpServerOptions, socket: UdpSocket) {
    this.#options = options;
    this.#socket = socket;
    this.#tally = new Tally(options.log);
    this.#limits = {
      ...DEFAULT_LIMITS,
      maxTransfers: options.maxTransfers ?? 2048,
      maxPerClient: options.maxPerClient ?? 16,
      ...options.limits,
    };
    socket.listen({
      receive: (bytes, address, port) => this.#receive(bytes, { address, port }),
      failed: ({ code = 'unknown', message }) =>
        this.#tally.notice(`send-failed.${code}`, { problem: message }),
    });
  }

  /** Listens; rejects where the address or port cannot be had. */
  static async start(options: TftpServerOptions): Promise<TftpServer> {
    const { address, port } = options;
    return new TftpServer(options, await openUdp({ address, port }));
  }

  /** The port listened on. */
  get port(): number {
    return this.#socket.port;
  }

  stats(): Record<string, number> {
    return this.#tally.stats();
  }

  /** Stops listening, ends the transfers under way with an error to their clients, and waits for all of it. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    await this.#socket.close();
    await this.#requests.close();
  }

  #receive(bytes: Buffer, from: Peer): void {
    // No reply could be sent to port 0: such a packet is forged.
    if (from.port === 0) {
      this.#tally.notice('dropped.port-zero', { address: from.address });
      return;
    }
    try {
      const packet = decodePacket(bytes);
      if (packet.type === 'rrq' || packet.type === 'wrq') this.#onRequest(packet, bytes, from);
      else this.#tally.notice(`dropped.unexpected-${packet.type}`, { address: from.address });
    } catch (error) {
      if (!(error instanceof TftpPacketError)) throw error;
      this.#tally.notice(`dropped.${error.reason}`, { address: from.address, problem: error.message });
      // Only what was meant as a request deserves an answer.
      if (error.opcode === OPCODE.rrq || error.opcode === OPCODE.wrq)
        this.#sendError(from, ERROR_CODE.illegalOperation, error.message);
    }
  }

  #onRequest(request: Request, bytes: Buffer, from: Peer): void {
    this.#tally.count(`received.${request.type}`);
    if (request.type === 'wrq') {
      this.#refuse(from, request.file, 'write', ERROR_CODE.accessViolation, 'this server is read-only');
      return;
    }
    if (request.mode === 'mail') {
      // RFC 1350 section 1: mail is obsolete, and it was only ever meaningful with a write request.
      this.#refuse(from, request.file, 'mode', ERROR_CODE.illegalOperation, 'mode mail is obsolete');
      return;
    }
    const earlier = this.#requests.find(from);
    if (earlier !== undefined) {
      if (bytes.equals(earlier.bytes) && earlier.session?.progress.proven !== true) {
        // The same request again, before we heard anything else: our answer is late or lost and will be sent again.
        this.#tally.count('dropped.request-repeated');
        return;
      }
      this.#requests.supersede(keyOf(from), 'a newer request came from the same port');
    }
    if (!this.#hasPlace(request, from)) return;
    const arrivedAt = this.#options.clock.now();
    this.#requests.add(
      {
        from,
        file: request.file,
        bytes: Uint8Array.from(bytes),
        arrivedAt,
        cancelled: false,
        session: undefined,
      },
      (read) =>
        this.#serve(request, read).catch((error: Error) =>
          this.#tally.notice('failed.internal', { problem: error.stack ?? error.message }),
        ),
    );
  }

  /**
   * Keeps the limits. Where there is no place nothing is answered: firmware that is told an error boots something else or
   * stops, while one that hears nothing asks again in some seconds, and by then there may be one.
   */
  #hasPlace(request: Request, from: Peer): boolean {
    const decision = admit(this.#requests.underWay(from.address), this.#limits);
    if (decision.type === 'refuse') {
      this.#note(from, request.file, decision.reason, 'no place: not answered, so that it asks again');
      return false;
    }
    if (decision.type === 'replace') this.#requests.supersede(decision.key, 'a newer request took its place');
    return true;
  }

  /** Serves one read request to its end. */
  async #serve(request: Request, read: ReadRequest): Promise<void> {
    const { clock, address } = this.#options;
    const { from } = read;
    const file = await this.#open(request, read);
    if (file === undefined) return;
    const agreement = negotiate(request, file.size, this.#limits);
    if ('refused' in agreement) {
      await file.close();
      return this.#refuse(from, request.file, 'option', ERROR_CODE.optionRefused, agreement.refused);
    }
    const socket = await openUdp({ address, port: 0 }).catch(async (error: Error) => {
      await file.close();
      throw error;
    });
    if (read.cancelled) {
      await socket.close();
      return file.close();
    }
    const { blksize, windowsize } = agreement;
    this.#tally.count('transfers.started');
    this.#report(from, 'transfer-start', { file: request.file, size: file.size, blksize, windowsize });
    read.session = new Session({
      socket,
      client: from,
      file,
      chunks: (length) => this.#chunksOf(request, file, length),
      agreement,
      readAhead: readAheadOf(this.#requests.size),
      clock,
      tally: this.#tally,
    });
    this.#reportEnd(read, read.session, await read.session.ended);
  }

  /** Shared by those who asked for the same bytes; netascii is each one's own, and so is what has no version. */
  #chunksOf({ file: name, mode }: Request, file: BootFile, length: number): ChunkReader {
    if (mode !== 'octet') return this.#chunks.open(undefined, length, netascii(file));
    const shared = file.version === undefined ? undefined : `${file.version} ${name}`;
    return this.#chunks.open(shared, length, octets(file));
  }

  async #open(request: Request, read: ReadRequest): Promise<BootFile | undefined> {
    const { from } = read;
    let file: BootFile | undefined;
    try {
      file = await this.#options.files.open(request.file, { address: from.address });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (error instanceof NotServed) {
        if (!read.cancelled)
          this.#refuse(from, request.file, 'unknown-file', ERROR_CODE.fileNotFound, message);
        return undefined;
      }
      this.#tally.notice('file.open-failed', { file: request.file, problem: message });
      if (read.cancelled) return undefined;
      // What went wrong inside is for the log, not for the network.
      if (code === 'EACCES' || code === 'EPERM')
        this.#refuse(from, request.file, 'access', ERROR_CODE.accessViolation, 'access denied');
      else this.#refuse(from, request.file, 'open-failed', ERROR_CODE.undefined, 'the file cannot be opened');
      return undefined;
    }
    if (!read.cancelled && file === undefined)
      this.#refuse(from, request.file, 'unknown-file', ERROR_CODE.fileNotFound, 'file not found');
    if (!read.cancelled) return file;
    await file?.close();
    return undefined;
  }

  #refuse(from: Peer, file: string, reason: RefusalReason, code: number, message: string): void {
    this.#note(from, file, reason, message);
    this.#sendError(from, code, message);
  }

  #note(from: Peer, file: string, reason: RefusalReason, message: string): void {
    this.#tally.notice(`refused.${reason}`, { address: from.address, file });
    this.#report(from, 'refused', { file, message }, reason);
  }

  #sendError(to: Peer, code: number, message: string): void {
    if (this.#closing) return;
    this.#socket.send(encodePacket({ type: 'error', code, message }), to.port, to.address);
  }

  #reportEnd({ from, file, arrivedAt }: ReadRequest, session: Session, outcome: Outcome): void {
    const bytes = session.acknowledgedBytes;
    const seconds = (this.#options.clock.now() - arrivedAt) / 1000;
    const { resent } = session.progress;
    this.#tally.count('sent.bytes', bytes);
    this.#tally.count('resent.blocks', resent);
    const detail = { file, bytes, seconds, resent };
    if (outcome.type === 'done') {
      this.#tally.count('transfers.done');
      this.#report(from, 'transfer-end', detail);
    } else {
      this.#tally.notice(`failed.${outcome.reason}`, { address: from.address, file, why: outcome.message });
      this.#report(from, 'transfer-failed', { ...detail, message: outcome.message }, outcome.reason);
    }
  }

  #report(from: Peer, step: string, detail: NonNullable<BootEvent['detail']>, reason?: string): void {
    const { clock, sink } = this.#options;
    const { address, port } = from;
    const event: BootEvent = {
      ...{ at: clock.now(), component: 'tftp', step, address },
      // Which of the transfers of one client an event is about.
      detail: { ...detail, port },
    };
    sink(reason === undefined ? event : { ...event, reason });
  }
}
