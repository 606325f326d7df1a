/** From bytes to messages that are answered now, answered later (see Backlog), or dropped. */
import { Backlog } from './backlog.ts';
import type { Sender } from './boot-server.ts';
import { type DhcpMessage, decodeMessage, senderOf } from './codec.ts';
import { DhcpError } from './error.ts';
import { MESSAGE_TYPE, OPTION } from './options/codes.ts';

export interface IntakeOptions {
  /** Answers a message. Throws DhcpError where an option the answer depends on is malformed. */
  handle(message: DhcpMessage, sender?: Sender): void;
  /** True where a node of the configuration sent it. Throws as above. */
  isNodes(message: DhcpMessage): boolean;
  /** Hears why a message is dropped; `why` is there where it is malformed. */
  dropped(reason: string, mac: string | undefined, why?: string): void;
  /** Hears of what should not happen. */
  failed(error: unknown): void;
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #backlog: Backlog;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#backlog = new Backlog((message) =>
      this.#guard(
        () => message.mac,
        () => options.handle(message),
      ),
    );
  }

  /** `sender`: of a message to the boot server port. */
  take(bytes: Uint8Array, sender?: Sender): void {
    this.#guard(
      () => senderOf(bytes),
      () => {
        const message = decodeMessage(bytes);
        if (sender !== undefined || !this.#mayWait(message)) {
          this.#options.handle(message, sender);
          return;
        }
        const reason = this.#backlog.add(message);
        if (reason !== undefined) this.#options.dropped(reason, message.mac);
      },
    );
  }

  /** Forgets what waits. */
  clear(): void {
    this.#backlog.clear();
  }

  /** True for a DISCOVER of a client that is no node while others come in. */
  #mayWait(message: DhcpMessage): boolean {
    if (message.op !== 'request') return false;
    if (message.options.get(OPTION.messageType)?.[0] !== MESSAGE_TYPE.discover) return false;
    return !this.#backlog.mayPass() && !this.#options.isNodes(message);
  }

  /** Does `work` on a message; nothing that is in it ends the server. */
  #guard(macOf: () => string | undefined, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof DhcpError) this.#options.dropped(error.fault, macOf(), error.message);
      else this.#options.failed(error);
    }
  }
}
