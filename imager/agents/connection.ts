/** One agent's TCP connection: frames in order, one message at a time, with deadlines. */
import type { Socket } from 'node:net';
import { encodeFrame, FrameError, FrameReader, MAX_AGENT_FRAME } from '../../agent/protocol/frame.ts';
import {
  type AgentMessage,
  type ImagerMessage,
  MessageError,
  parseAgentMessage,
} from '../../agent/protocol/messages.ts';
import { wordsOf } from '../../agent/protocol/words-of.ts';

/** A hello is small: whoever sends more before being welcomed is no agent. */
const MAX_BEFORE_HELLO = 64 * 1024;
/** Answers a peer leaves unread before it is dropped. */
const MAX_UNSENT = 8 * 1024 * 1024;
/** How long a connection that is over waits for the other side. */
const LINGER_MS = 1000;

export interface ConnectionEvents {
  /** Handles one message; the next is not read before it resolves. A rejection drops the connection. */
  message(message: AgentMessage): Promise<void>;
  /** Nothing more is taken from it. Called once; `reason`: fixed word where this side ended it, else undefined. */
  ended(reason: string | undefined, why: string): void;
  /** Its socket is gone. Called once, after ended. */
  closed(): void;
}

export class Connection {
  readonly peer: string;
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;
  readonly #reader = new FrameReader(MAX_AGENT_FRAME);
  #received = 0;
  #welcomed = false;
  #deadline: NodeJS.Timeout;
  #ended = false;
  /** The agent may say what it likes meanwhile: it is not heard. */
  #handling = false;
  readonly #idleMs: number;

  constructor(socket: Socket, deadlines: { helloMs: number; idleMs: number }, events: ConnectionEvents) {
    this.peer = (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    this.#socket = socket;
    this.#events = events;
    this.#idleMs = deadlines.idleMs;
    socket.setNoDelay(true);
    this.#deadline = setTimeout(
      () => this.drop('hello-deadline', `no welcome within ${deadlines.helloMs / 1000} s`),
      deadlines.helloMs,
    );
    socket.on('data', (chunk) => void this.#take(chunk));
    socket.once('error', (error) => this.drop(reasonOf(error), error.message));
    socket.once('end', () => this.drop(undefined, 'closed by the agent'));
    socket.once('close', () => {
      this.drop(undefined, 'closed');
      events.closed();
    });
  }

  /** From here on the agent may be silent for the idle deadline, and send long frames. */
  welcomed(): void {
    this.#welcomed = true;
    this.#rest();
  }

  send(message: ImagerMessage): void {
    if (this.#ended) return;
    this.#socket.write(encodeFrame(message));
    if (this.#socket.writableLength > MAX_UNSENT) this.drop('unread', 'the agent does not read its answers');
  }

  /**
   * As `drop`, after a last word that has whoever is there hang up. Calls `heard` where that comes about: where nobody is there any
   * more, the connection breaks or lingers.
   */
  dismiss(word: ImagerMessage, reason: string, why: string, heard: () => void): void {
    this.send(word);
    if (this.#ended) return;
    this.#end(reason, why);
    if (this.#socket.destroyed) return;
    this.#socket.once('end', () => {
      heard();
      this.#socket.end();
    });
    this.#linger();
  }

  /** Ends the connection after what was sent. Without `reason` it counts as the agent's own doing. */
  drop(reason: string | undefined, why: string): void {
    if (this.#ended) return;
    this.#end(reason, why);
    if (this.#socket.destroyed) return;
    this.#linger();
    this.#socket.end();
  }

  #end(reason: string | undefined, why: string): void {
    this.#ended = true;
    clearTimeout(this.#deadline);
    this.#events.ended(reason, why);
  }

  #linger(): void {
    // A peer that never takes its last answer must not hold the socket.
    const linger = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    this.#socket.once('close', () => clearTimeout(linger));
    // Reading on until the peer closes too: a reset for unread bytes would take the last answer with it.
    this.#socket.resume();
  }

  async #take(chunk: Uint8Array): Promise<void> {
    if (this.#ended) return;
    this.#received += chunk.length;
    if (!this.#welcomed && this.#received > MAX_BEFORE_HELLO)
      return this.drop('no-hello', `${this.#received} bytes and no hello`);
    this.#socket.pause();
    this.#handling = true;
    if (this.#welcomed) clearTimeout(this.#deadline);
    try {
      for (const value of this.#reader.push(chunk)) {
        if (this.#ended) return;
        await this.#events.message(parseAgentMessage(value));
      }
    } catch (error) {
      const why = wordsOf(error);
      const reason =
        error instanceof FrameError ? 'frame' : error instanceof MessageError ? 'message' : 'internal';
      return this.drop(reason, why);
    }
    this.#handling = false;
    if (this.#ended) return;
    if (this.#welcomed) this.#rest();
    this.#socket.resume();
  }

  /** Silence is counted from here on, or from when what was said last is handled. */
  #rest(): void {
    clearTimeout(this.#deadline);
    if (this.#handling) return;
    this.#deadline = setTimeout(
      () => this.drop('silent', `silent for ${this.#idleMs / 1000} s`),
      this.#idleMs,
    );
  }
}

/** Records of TLS that somebody has changed on their way are this side's to refuse; all else is the network's. */
function reasonOf(error: NodeJS.ErrnoException): string | undefined {
  return error.code?.startsWith('ERR_SSL_') ? 'tampered' : undefined;
}
