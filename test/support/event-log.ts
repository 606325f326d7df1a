/** Boot events as they come, for tests that wait for one of them. */
import { EventEmitter, once } from 'node:events';
import type { BootEvent, EventSink } from '../../imager/journal/event.ts';

export class EventLog {
  readonly events: BootEvent[] = [];
  readonly #bus = new EventEmitter();
  readonly sink: EventSink = (event) => {
    this.events.push(event);
    this.#bus.emit('event');
  };

  /** The first event with this step, or that fits, once it has come; or the `nth` such one. */
  async seen(fits: string | ((event: BootEvent) => boolean), nth = 1): Promise<BootEvent> {
    const is = typeof fits === 'string' ? ({ step }: BootEvent) => step === fits : fits;
    for (;;) {
      const found = this.events.filter(is)[nth - 1];
      if (found !== undefined) return found;
      await this.next();
    }
  }

  async next(): Promise<void> {
    await once(this.#bus, 'event');
  }
}
