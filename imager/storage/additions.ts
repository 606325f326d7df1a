/** Additions under way: a store that closes interrupts them and waits until they have cleared up behind them. */
export class Additions {
  readonly #Stopped: new (
    message: string,
  ) => Error;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  /** `Stopped` is the store's own class for the error that ends what is interrupted. */
  constructor(Stopped: new (message: string) => Error) {
    this.#Stopped = Stopped;
  }

  /** Runs `work`, which has to end, rejecting with the signal's reason, soon after the signal. */
  async run<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#stop.signal.throwIfAborted();
    const running = work(this.#stop.signal);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async close(): Promise<void> {
    this.#stop.abort(new this.#Stopped('the imager is being stopped: nothing was added'));
    await Promise.allSettled(this.#running);
  }
}
