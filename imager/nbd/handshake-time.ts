/** Time that a client has to open an export: a while for each option, and no place for good where it only ever asks. */

/** The whole handshake may take this many times what one option may. */
const WHOLE = 10;

export class HandshakeTime {
  readonly #option: NodeJS.Timeout;
  readonly #whole: NodeJS.Timeout;

  /** Calls `late` once an option takes longer than `ms`, or all of them take too long. */
  constructor(ms: number, late: () => void) {
    this.#option = setTimeout(late, ms);
    this.#whole = setTimeout(late, ms * WHOLE);
  }

  /** An option is done, its answer taken: the time of the next one begins. */
  optionDone(): void {
    this.#option.refresh();
  }

  /** The handshake is over. */
  end(): void {
    clearTimeout(this.#option);
    clearTimeout(this.#whole);
  }
}
