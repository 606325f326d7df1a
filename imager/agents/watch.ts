/** Watches over the nodes: their heartbeats as events where something has changed, and the other end of their paths. */
import type { Heartbeat } from '../../agent/protocol/heartbeat.ts';
import type { Clock } from '../journal/clock.ts';
import type { Liveness as View } from '../model/views.ts';
import { Echo } from './echo.ts';
import { Liveness } from './liveness.ts';
import type { Reports } from './reports.ts';

export class Watch {
  readonly #liveness: Liveness;
  readonly #clock: Clock;
  readonly #reports: Reports;
  readonly #round: NodeJS.Timeout;
  #echo: Echo | undefined;

  /** `lostMs`: a node that is silent for so long is lost. */
  constructor(lostMs: number, clock: Clock, reports: Reports) {
    this.#liveness = new Liveness(lostMs);
    this.#clock = clock;
    this.#reports = reports;
    this.#round = setInterval(() => this.#tell(this.#liveness.check(clock.now())), Math.ceil(lostMs / 8));
    this.#round.unref();
  }

  /** Answers probes at this address and port. Rejects with the system's error where it cannot. */
  async listen(address: string, port: number, count: (what: string) => void): Promise<void> {
    this.#echo = await Echo.start(address, port, count);
  }

  /** The node said something. */
  heard(node: string): void {
    this.#liveness.heard(node, this.#clock.now());
  }

  heartbeat(node: string, { adapters }: Heartbeat): void {
    this.#tell(this.#liveness.heartbeat(node, adapters, this.#clock.now()));
  }

  view(node: string): View {
    return this.#liveness.view(node);
  }

  async close(): Promise<void> {
    clearInterval(this.#round);
    await this.#echo?.close();
  }

  #tell(changes: ReturnType<Liveness['check']>): void {
    for (const change of changes) this.#reports.liveness(this.#clock.now(), change);
  }
}
