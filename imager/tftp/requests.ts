/** The read requests under way, each from its arrival until nothing of it is left open. */
import type { ActiveTransfer, UnderWay } from './admission.ts';
import type { Session } from './session.ts';

/** Who sent a packet. */
export interface Peer {
  address: string;
  port: number;
}

export interface ReadRequest {
  readonly from: Peer;
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly arrivedAt: number;
  /** Set where it is to end while its file is still being opened. */
  cancelled: boolean;
  /** Set once its file is open. */
  session: Session | undefined;
}

export class RequestTable {
  /** By the client's address and port, its half of the transfer IDs (RFC 1350 section 4). */
  readonly #requests = new Map<string, ReadRequest>();
  readonly #byAddress = new Map<string, Set<ReadRequest>>();
  /** Those whose client had not answered when last looked at, in order of arrival. */
  readonly #unproven = new Set<ReadRequest>();
  /** What is to end before the table is empty: more than the requests, since replaced ones take time to go. */
  readonly #serving = new Set<Promise<void>>();

  get size(): number {
    return this.#requests.size;
  }

  find(from: Peer): ReadRequest | undefined {
    return this.#requests.get(keyOf(from));
  }

  /** Holds `request` until `serve` ends, which must not reject. */
  add(request: ReadRequest, serve: (request: ReadRequest) => Promise<void>): void {
    const key = keyOf(request.from);
    this.#requests.set(key, request);
    this.#unproven.add(request);
    const own = this.#byAddress.get(request.from.address);
    if (own === undefined) this.#byAddress.set(request.from.address, new Set([request]));
    else own.add(request);
    const serving = serve(request).finally(() => {
      this.#serving.delete(serving);
      if (this.#requests.get(key) === request) this.#forget(key, request);
    });
    this.#serving.add(serving);
  }

  #forget(key: string, request: ReadRequest): void {
    const { address } = request.from;
    this.#requests.delete(key);
    this.#unproven.delete(request);
    const own = this.#byAddress.get(address);
    own?.delete(request);
    if (own?.size === 0) this.#byAddress.delete(address);
  }

  /** Ends a request whose place is needed; frees the place at once. */
  supersede(key: string, message: string): void {
    const request = this.#requests.get(key);
    if (request === undefined) return;
    this.#forget(key, request);
    cancel(request, 'superseded', message);
  }

  /** Ends all of them and waits for it. */
  async close(): Promise<void> {
    for (const request of this.#requests.values()) cancel(request, 'shutdown', 'the server is stopping');
    await Promise.all(this.#serving);
  }

  /** What is under way, as a client at `address` has to reckon with. */
  underWay(address: string): UnderWay {
    return {
      total: this.#requests.size,
      own: [...(this.#byAddress.get(address) ?? [])].map(transferOf),
      unproven: this.#neverAnswered(),
    };
  }

  *#neverAnswered(): Iterable<ActiveTransfer> {
    for (const request of this.#unproven) {
      if (request.session?.progress.proven === true) this.#unproven.delete(request);
      else yield transferOf(request);
    }
  }
}

function transferOf({ from, arrivedAt, session }: ReadRequest): ActiveTransfer {
  return {
    key: keyOf(from),
    retries: session?.progress.retries ?? 0,
    progressAt: session?.progress.progressAt ?? arrivedAt,
  };
}

/** The key of a client in `underWay` and `supersede`. */
export function keyOf(from: Peer): string {
  return `${from.address} ${from.port}`;
}

function cancel(request: ReadRequest, reason: 'superseded' | 'shutdown', message: string): void {
  request.cancelled = true;
  request.session?.stop(reason, message);
}
