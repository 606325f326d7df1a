/** One connection to an imager, from the hello to its end. */
import { encodeFrame, FrameReader } from '../protocol/frame.ts';
import { HEARTBEAT_SECONDS } from '../protocol/heartbeat.ts';
import {
  type AgentMessage,
  type Hello,
  type ImagerMessage,
  parseImagerMessage,
} from '../protocol/messages.ts';
import { wordsOf } from '../protocol/words-of.ts';
import { UntouchedError } from './flash.ts';
import { type Connection, type Host, HostError } from './host.ts';
import type { ImagerAddress } from './imager-address.ts';
import type { NodeSecret } from './secret.ts';

const CONNECT_MS = 2000;
/** A handshake is two short flights; an imager of a rack that was powered on at once has many to answer. */
const SECURE_MS = 10_000;
/** An imager that takes a connection and says nothing is none. */
const WELCOME_MS = 10_000;
/** An imager of many nodes may be busy. */
const GRACE_SECONDS = 2;

export type Welcome = Extract<ImagerMessage, { type: 'welcome' }>;

/** The imager is there and will not have this node. */
export class RefusedError extends Error {}

/** Another agent has this node's key and its place. */
export class ReplacedError extends RefusedError {}

/** What this node has to say who it is cannot be read: its own matter, of which no imager is told and none is asked. */
export class UnreadableError extends Error {}

/** Who this node is to its imagers. What is thrown becomes an UnreadableError. */
export interface LinkIdentity {
  hello(): Hello;
  /** What secures the next connection. */
  secret(): NodeSecret;
}

/** Makes a heartbeat for an imager. */
export type Pulse = (imager: ImagerAddress) => AgentMessage;

/** Handles what an imager says beside welcome and refusal. A throw ends the conversation. */
export type Take = (conversation: Conversation, message: ImagerMessage) => void;

export class Conversation {
  readonly imager: ImagerAddress;
  /** Uptime at which it was begun. */
  readonly since: number;
  /** Resolves with why, when it is over. */
  readonly ended: Promise<Error>;
  readonly #host: Host;
  readonly #connection: Connection;
  readonly #take: Take;
  #welcome: Welcome | undefined;
  #welcomed: () => void = () => {};
  #heard: number;
  #over = false;
  /** Why this side ended it, where its end would be taken for the imager's doing. */
  #why: Error | undefined;

  private constructor(
    host: Host,
    { imager, since }: Pick<Conversation, 'imager' | 'since'>,
    connection: Connection,
    take: Take,
  ) {
    this.#host = host;
    this.since = since;
    this.imager = imager;
    this.#connection = connection;
    this.#take = take;
    this.#heard = host.uptime();
    this.ended = this.#listen();
  }

  /**
   * Connects and says hello. Resolves once welcomed; rejects with why not: RefusedError where the imager said so, UnreadableError where
   * it is the node's own matter.
   */
  static async open(
    host: Host,
    imager: ImagerAddress,
    identity: LinkIdentity,
    take: Take,
  ): Promise<Conversation> {
    // Before there is a connection to leave open.
    const secret = readable(identity.secret);
    const since = host.uptime();
    const plain = await host.connect(imager.address, imager.port, CONNECT_MS);
    const connection = await host.secure(plain, secret, SECURE_MS).catch((error: unknown) => {
      throw handshakeFault(error, secret);
    });
    const conversation = new Conversation(host, { imager, since }, connection, take);
    const welcomed = new Promise<void>((resolve) => {
      conversation.#welcomed = resolve;
    });
    try {
      // Only now: the pointer may have been written meanwhile.
      conversation.send(readable(identity.hello));
    } catch (error) {
      conversation.close();
      throw error;
    }
    const late = host.sleep(WELCOME_MS).then(() => new Error(`no welcome within ${WELCOME_MS / 1000} s`));
    const why = await Promise.race([welcomed, conversation.ended, late]);
    if (why === undefined) return conversation;
    conversation.close();
    throw why;
  }

  /** What it was welcomed with: there since open() resolved. */
  get welcome(): Welcome {
    if (this.#welcome === undefined) throw new Error('not welcomed');
    return this.#welcome;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Nothing comes of it once the conversation is over. */
  send(message: AgentMessage): void {
    // A failed write ends the reads as well: it is seen there.
    if (!this.#over) this.#connection.write(encodeFrame(message)).catch(() => {});
  }

  close(): void {
    this.#over = true;
    this.#connection.close();
  }

  async #listen(): Promise<Error> {
    try {
      const reader = new FrameReader();
      for (;;) {
        const chunk = await this.#connection.read();
        if (chunk === undefined) throw new Error('closed the connection');
        this.#heard = this.#host.uptime();
        for (const value of reader.push(chunk)) this.#hear(parseImagerMessage(value));
      }
    } catch (error) {
      return this.#why ?? (error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.close();
    }
  }

  #hear(message: ImagerMessage): void {
    if (message.type === 'refuse') throw new RefusedError(`refuses this node: ${message.why}`);
    if (message.type === 'replaced')
      throw new ReplacedError(`${message.why}: this one tries again in 5 to 10 minutes`);
    if (message.type !== 'welcome') {
      this.#take(this, message);
      return;
    }
    if (this.#welcome !== undefined) throw new Error('a second welcome');
    this.#welcome = message;
    this.#welcomed();
  }

  /**
   * Sends the heartbeats of `pulse` to the end of the conversation, and ends it where the imager does not answer: one that has
   * gone without a word is gone after two of them.
   */
  async beat(pulse: Pulse): Promise<void> {
    const seconds = this.welcome.heartbeatSeconds ?? HEARTBEAT_SECONDS;
    const limit = 2 * seconds + GRACE_SECONDS;
    // The first is soon, and not amid what a boot has to say.
    await this.#host.sleep(seconds * 100);
    while (!this.#over) {
      this.send(pulse(this.imager));
      await this.#host.sleep(seconds * 1000);
      if (this.#over || this.#host.uptime() - this.#heard <= limit) continue;
      this.#why = new Error(`says nothing for ${limit} s`);
      this.close();
    }
  }
}

/** The answer to a request that was not carried out. */
export function failed(request: number, error: unknown): AgentMessage {
  const untouched = error instanceof UntouchedError ? { untouched: true } : {};
  return {
    type: 'failed',
    request,
    why: wordsOf(error),
    ...untouched,
  };
}

/** Hears why an imager did not welcome this node. */
export type Tell = (imager: ImagerAddress, why: unknown) => void;

/** The first of `imagers` that welcomes this node. `tell` hears why the others did not; none is asked where the node is unreadable. */
export async function openFirst(
  host: Host,
  imagers: readonly ImagerAddress[],
  identity: LinkIdentity,
  take: Take,
  tell: Tell,
): Promise<Conversation | 'refused' | 'unreachable'> {
  let refused = false;
  for (const imager of imagers) {
    try {
      return await Conversation.open(host, imager, identity, take);
    } catch (error) {
      tell(imager, error);
      if (error instanceof UnreadableError) break;
      refused ||= error instanceof RefusedError;
    }
  }
  return refused ? 'refused' : 'unreachable';
}

function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UnreadableError(wordsOf(error), { cause: error });
  }
}

/**
 * Why a handshake came to nothing. Where the two sides did not agree on a key all that TLS says of it is an alert. What helps is
 * said with its condition, for whoever has taken an imager's place can send that alert, too. Any other fault of TLS is no key's: a port
 * on which something else answers, most of all.
 */
function handshakeFault(error: unknown, { cluster, erase }: NodeSecret): unknown {
  if (!(error instanceof HostError)) return error;
  if (error.code === 'EPROTO')
    return new Error(`what answers there is no imager, or none of this version (${error.message})`);
  if (error.code !== 'EKEYREJECTED') return error;
  return new RefusedError(
    cluster === undefined
      ? `does not take this node's key of enrolment (${error.message}). It is that of the imager's agents.enrolmentKey: images are ` +
          'built with it, agent supervise is told of it with --enrolment-key'
      : `does not know this node's definition in cluster ${cluster}, or has another key for it (${error.message}). ` +
          `If it is your imager, and the node was undefined or its registry lost: end this agent first, for it holds the ` +
          `store's lock, then ${erase}`,
  );
}
