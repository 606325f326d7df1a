/** Who is connected to a simulated imager, and what it waits for of them: imager/agents/pushes.ts in virtual time. */
import { encodeFrame } from '../../../agent/protocol/frame.ts';
import type { ImagerMessage } from '../../../agent/protocol/messages.ts';
import { type PushAnswer, PushError } from '../../../imager/agents/pushes.ts';
import type { Session } from '../../../imager/agents/session.ts';
import type { StreamEnd } from './network.ts';
import type { VirtualTime } from './time.ts';

export interface Peer {
  end: StreamEnd;
  address: string;
  session: Session;
  /** Id of the definition whose key secures the connection. */
  identity?: string;
  /** The node it was welcomed as. */
  node?: string;
}

const DEADLINE_MS = 10_000;

export class Requests {
  readonly #time: VirtualTime;
  readonly #pending = new Map<number, { peer: Peer; end: (answer: PushAnswer | PushError) => void }>();
  #last = 0;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  /** Sends a request with a new number. Resolves with its answer, rejects with PushError; `what` names it in errors. */
  ask(
    peer: Peer,
    what: string,
    message: (request: number) => ImagerMessage,
    moreMs = 0,
  ): Promise<PushAnswer> {
    if (peer.session.at === 'closed') return Promise.reject(new PushError('disconnected', 'has gone'));
    const request = ++this.#last;
    return new Promise((resolve, reject) => {
      const deadlineMs = DEADLINE_MS + moreMs;
      const words = `${what} ${peer.node ?? peer.address}: no answer within ${deadlineMs / 1000} s`;
      const late = this.#time.after(deadlineMs, () =>
        this.settle(peer, request, new PushError('deadline', words)),
      );
      const end = (answer: PushAnswer | PushError) => {
        late();
        if (answer instanceof PushError) reject(answer);
        else resolve(answer);
      };
      this.#pending.set(request, { peer, end });
      peer.end.write(encodeFrame(message(request)));
    });
  }

  /** Hands over the answer to a request; what `peer` was not asked is nothing. */
  settle(peer: Peer, request: number, answer: PushAnswer | PushError): void {
    const pending = this.#pending.get(request);
    if (pending?.peer !== peer) return;
    this.#pending.delete(request);
    pending.end(answer);
  }

  /** Ends all that wait for `peer`. */
  abandon(peer: Peer): void {
    for (const [request, pending] of this.#pending)
      if (pending.peer === peer)
        this.settle(peer, request, new PushError('disconnected', `${peer.node} disconnected`));
  }
}
