/** Performs the effects of one transfer's state machine: its socket (whose port is the transfer's TID), timer and file. */
import type { BootFile } from '../images/boot-files.ts';
import type { Clock } from '../journal/clock.ts';
import type { Tally } from '../journal/tally.ts';
import type { UdpSocket } from '../udp/socket.ts';
import { BlockBuffer } from './blocks.ts';
import type { ChunkReader } from './chunks.ts';
import {
  decodePacket,
  ERROR_CODE,
  encodePacket,
  type Packet,
  TftpPacketError,
  writeAck,
  writeDataHeader,
} from './codec.ts';
import type { Agreement } from './options.ts';
import type { Progress } from './progress.ts';
import { ShortFileError } from './source.ts';
import {
  begin,
  blocksAfterAck,
  DEFAULT_MAX_RETRANSMISSION_MS,
  type FailureReason,
  next,
  type Outcome,
  type Step,
  type TransferInput,
  type TransferState,
} from './transfer.ts';

export interface SessionOptions {
  /** From now on the session's to close. */
  socket: UdpSocket;
  client: { address: string; port: number };
  /** From now on the session's to close. */
  file: BootFile;
  /** Gives the file in chunks of so many bytes. */
  chunks: (length: number) => ChunkReader;
  agreement: Agreement;
  /** Bytes to hold of the file. */
  readAhead: number;
  clock: Clock;
  tally: Tally;
}

export class Session {
  /** Resolves with the outcome once socket, file and timer are gone. Never rejects. */
  readonly ended: Promise<Outcome>;
  readonly #options: SessionOptions;
  readonly #blocks: BlockBuffer;
  readonly #onEnd: (outcome: Outcome) => void;
  #state: TransferState;
  #timer: NodeJS.Timeout | undefined;
  /** When the machine wants to be woken; the timer may be set to an earlier time and is then set again. */
  #wakeAt = 0;
  #timerAt = 0;
  #reading: Promise<void> | undefined;
  /** The last of the blocks that the socket sends by itself when the ACKs before them come; 0 where there are none. */
  #ready = 0;
  readonly #ack = new Uint8Array(4);
  readonly #header = new Uint8Array(4);

  constructor(options: SessionOptions) {
    const { agreement, socket, clock } = options;
    this.#options = options;
    this.#blocks = new BlockBuffer({
      open: options.chunks,
      blksize: agreement.blksize,
      windowsize: agreement.windowsize,
      fileSize: options.file.size,
      readAhead: options.readAhead,
      inUse: () => socket.sending,
    });
    const { promise, resolve } = withResolvers<Outcome>();
    this.#onEnd = resolve;
    this.ended = promise.then((outcome) => this.#closed(outcome));
    socket.listen({
      receive: (bytes, address, port, answered, before) => {
        this.#ready = 0;
        if (before > 0) this.#answered(before, clock.now());
        this.#receive(bytes, address, port, answered);
        if (this.#running) this.#expectAcks();
      },
      // A packet that cannot be sent (no route, a firewall) is a lost packet: the timer sends it again or gives up.
      failed: (error) => this.#sendFailed(error),
    });
    const first = begin(
      {
        windowsize: agreement.windowsize,
        offer: agreement.reply.size > 0,
        maxRetransmissionMs: agreement.timeoutMs ?? DEFAULT_MAX_RETRANSMISSION_MS,
      },
      clock.now(),
    );
    this.#state = first.state;
    this.#perform(first);
    this.#readAhead();
  }

  get #running(): boolean {
    return this.#state.phase !== 'ended';
  }

  get progress(): Progress {
    return this.#state.progress;
  }

  /** Bytes of file data the client has acknowledged. */
  get acknowledgedBytes(): number {
    const { base, last } = this.#state.progress;
    const { blksize } = this.#options.agreement;
    if (base !== last) return base * blksize;
    return (base - 1) * blksize + this.#blocks.lastLength;
  }

  /** Ends the transfer from our side and tells the client. */
  stop(reason: FailureReason, message: string): void {
    this.#catchUp();
    this.#feed({ type: 'stop', reason, message });
  }

  #receive(bytes: Buffer, address: string, port: number, answered: boolean): void {
    const { client, tally } = this.#options;
    let packet: Packet;
    try {
      packet = decodePacket(bytes);
    } catch (error) {
      if (!(error instanceof TftpPacketError)) throw error;
      tally.notice(`dropped.${error.reason}`, { address, problem: error.message });
      return;
    }
    if (port !== client.port || address !== client.address) this.#refuseStranger(packet, address, port);
    else if (packet.type === 'ack' || packet.type === 'error') this.#feed(packet, answered);
    else tally.notice(`dropped.unexpected-${packet.type}`, { address });
  }

  /** RFC 1350 section 4: a wrong TID is answered with an error and does not disturb the transfer. */
  #refuseStranger(packet: Packet, address: string, port: number): void {
    const { socket, tally } = this.#options;
    tally.notice('dropped.unknown-tid', { address, port });
    // An error is never answered with an error, or two hosts could go on for ever. Port 0 cannot be sent to.
    if (packet.type === 'error' || port === 0) return;
    const code = ERROR_CODE.unknownTransferId;
    socket.send(encodePacket({ type: 'error', code, message: 'unknown transfer ID' }), port, address);
  }

  /** `answered`: the first block to be sent has been. */
  #feed(input: TransferInput, answered = false): void {
    const step = next(this.#state, input, this.#options.clock.now());
    this.#state = step.state;
    this.#perform(step, answered);
    if (!this.#running) return;
    this.#expectAcks();
    this.#readAhead();
  }

  /** The socket has answered so many ACKs that nothing was heard of, the last one `at`. */
  #answered(count: number, at: number): void {
    const step = next(this.#state, { type: 'answered', count, at }, at);
    this.#state = step.state;
    this.#perform(step);
  }

  /** Takes in what the socket has answered by itself: before anything that is no packet of the client's. */
  #catchUp(): void {
    if (!this.#running || this.#ready === 0) return;
    const { count, msAgo } = this.#options.socket.answers!();
    if (count > 0) this.#answered(count, this.#options.clock.now() - msAgo);
  }

  /** While the client answers: whatever is done between its ACK and the next block, it waits for. */
  #expectAcks(): void {
    const { socket, client, agreement } = this.#options;
    const blocks = blocksAfterAck(this.#state);
    if (socket.expect === undefined || blocks === undefined || blocks.from <= this.#ready) return;
    const { from } = blocks;
    // The ACK that makes room for reading ahead is heard of, or the client would wait for that at the end of each half.
    const room = this.#blocks.roomAfter + 1;
    const to = from <= room ? Math.min(blocks.to, room) : blocks.to;
    const size = agreement.blksize;
    const bodies = this.#blocks.dataOf(from, to);
    this.#ready = from + Math.max(1, Math.ceil(bodies.length / size)) - 1;
    writeAck(this.#ack, from - 1);
    writeDataHeader(this.#header, from);
    socket.expect({ question: this.#ack, head: this.#header, bodies, size }, client.port, client.address);
  }

  #perform(step: Step, answered = false): void {
    const { socket, client, agreement, tally } = this.#options;
    const send = (bytes: Uint8Array) => socket.send(bytes, client.port, client.address);
    for (const effect of step.effects) {
      switch (effect.type) {
        case 'send-blocks': {
          const from = answered ? effect.from + 1 : effect.from;
          for (let block = from; block <= effect.to; block++) send(this.#blocks.packet(block));
          break;
        }
        case 'send-oack':
          send(encodePacket({ type: 'oack', options: agreement.reply }));
          break;
        case 'send-error':
          send(encodePacket({ ...effect, type: 'error' }));
          break;
        case 'release':
          this.#blocks.release(effect.block);
          break;
        case 'timer':
          this.#wake(effect.at);
          break;
        case 'ignored':
          tally.count(`dropped.${effect.reason}`);
          break;
        case 'close':
          clearTimeout(this.#timer);
          this.#onEnd(effect.outcome);
          break;
      }
    }
  }

  /** Moves the wake-up. Nearly every ACK moves it further: the running timer is then left to find that out itself. */
  #wake(at: number): void {
    this.#wakeAt = at;
    if (this.#timer !== undefined && this.#timerAt <= at) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => this.#wakened(), Math.max(0, at - this.#options.clock.now()));
  }

  #wakened(): void {
    this.#timer = undefined;
    this.#catchUp();
    // Which may have set it.
    if (this.#timer !== undefined) return;
    if (this.#options.clock.now() < this.#wakeAt) {
      this.#wake(this.#wakeAt);
      return;
    }
    // After a busy moment timers run before sockets are read, and the ACK may be waiting there: read first.
    setImmediate(() => {
      this.#catchUp();
      if (this.#timer !== undefined || !this.#running) return;
      if (this.#options.clock.now() < this.#wakeAt) this.#wake(this.#wakeAt);
      else this.#feed({ type: 'timer' });
    });
  }

  /** Reads while there is room; each chunk read is offered to the machine at once. */
  #readAhead(): void {
    if (this.#reading !== undefined || !this.#blocks.hasRoom) return;
    this.#reading = this.#blocks.fill().then(
      () => {
        this.#reading = undefined;
        this.#catchUp();
        this.#feed({ type: 'available', block: this.#blocks.available, last: this.#blocks.last });
      },
      (error: Error) => {
        this.#reading = undefined;
        const short = error instanceof ShortFileError;
        this.#options.tally.notice(short ? 'file.short' : 'file.unreadable', { problem: error.message });
        // What went wrong inside is for the log; the client learns that the file is not to be trusted.
        this.stop(short ? 'short-file' : 'read-failed', 'the file cannot be read to its end');
      },
    );
  }

  #sendFailed(error: NodeJS.ErrnoException): void {
    this.#options.tally.notice(`send-failed.${error.code ?? 'unknown'}`, { problem: error.message });
  }

  async #closed(outcome: Outcome): Promise<Outcome> {
    const { socket, file, tally } = this.#options;
    await socket.close();
    await this.#reading;
    this.#blocks.close();
    await file.close().catch((error: Error) => tally.notice('file.close-failed', { problem: error.message }));
    return outcome;
  }
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
