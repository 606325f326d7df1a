/** That no imager has this node: since when, and what is said of it on the console. */
import type { Host } from './host.ts';

export class Detachment {
  readonly #host: Pick<Host, 'uptime' | 'print'>;
  #since: number | undefined;

  constructor(host: Pick<Host, 'uptime' | 'print'>) {
    this.#host = host;
  }

  /** None of the imagers answers and takes this node. `waiting`: it can do nothing before one does. */
  begin(waiting: boolean): void {
    if (this.#since !== undefined) return;
    this.#since = this.#host.uptime();
    this.#host.print(
      'bootwright: no imager welcomes this node: it goes on by itself and keeps what it has to report',
    );
    if (waiting) this.wait();
  }

  /** From now on it can do nothing before one does. */
  wait(): void {
    if (this.#since === undefined) return;
    this.#host.print('bootwright: its disk knows no plan for this deployment: waiting for an imager');
  }

  /** An imager answers: gives for how many seconds none did. */
  end(): number {
    const seconds = Math.round(this.#host.uptime() - (this.#since ?? this.#host.uptime()));
    this.#since = undefined;
    return seconds;
  }
}
