/** One stretch of a machine's life, from power-on or a reset to the next: what began in it ends with it. */
import type { VirtualTime } from './time.ts';

export class Life {
  readonly beganAt: number;
  readonly #time: VirtualTime;
  readonly #did: () => void;
  #over = false;

  /** `did` is called after each thing the machine has done to the world. */
  constructor(time: VirtualTime, did: () => void) {
    this.#time = time;
    this.#did = did;
    this.beganAt = time.now();
  }

  get over(): boolean {
    return this.#over;
  }

  /** Milliseconds since it began. */
  get age(): number {
    return this.#time.now() - this.beganAt;
  }

  end(): void {
    this.#over = true;
  }

  /** Something the machine does to the world: it comes about unless the power goes before. */
  does(deed: () => void): void {
    this.#time.soon(() => {
      if (this.#over) return;
      deed();
      this.#did();
    });
  }

  /** Does `work` in so many milliseconds, if the machine is still on then. */
  after(milliseconds: number, work: () => void): void {
    this.#time.after(milliseconds, () => {
      if (!this.#over) work();
    });
  }

  /** Resolves in so many milliseconds; never where the machine is off by then. */
  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.after(milliseconds, resolve));
  }

  /** What comes of `promise` while the machine is on; never anything after that. */
  async lived<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise;
    } finally {
      if (this.#over) await new Promise(() => {});
    }
  }
}
