/** Which start the end of a transfer belongs to. Pure. */
import type { BootEvent } from './event.ts';

/** The end of a transfer that has begun. */
export function isTransferEnd({ component, step }: BootEvent): boolean {
  return (
    (component === 'tftp' || component === 'http') && (step === 'transfer-end' || step === 'transfer-failed')
  );
}

/** Transfers that have begun and not ended, each with something of whoever asks. */
export class OpenTransfers<T> {
  readonly #open = new Map<string, T[]>();

  begin(start: BootEvent, value: T): void {
    const key = keyOf(start);
    this.#open.set(key, [...(this.#open.get(key) ?? []), value]);
  }

  /** What `end` is the end of, which is open no more; undefined where no start of it is known. */
  end(end: BootEvent): T | undefined {
    const key = keyOf(end);
    const [oldest, ...later] = this.#open.get(key) ?? [];
    if (later.length === 0) this.#open.delete(key);
    else this.#open.set(key, later);
    return oldest;
  }

  /** All that are open. */
  all(): T[] {
    return [...this.#open.values()].flat();
  }
}

/** Of two from one port, or from an imager that did not tell it, the first to begin is the first to end. */
function keyOf({ component, address, detail = {} }: BootEvent): string {
  return [component, address, detail.port, detail.file].join(' ');
}
