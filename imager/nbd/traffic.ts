/** What all connections of a server have moved: those that have an export, and those that have gone. */

/** Of one connection: it only grows. */
export interface Moved {
  readonly requests: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

export class Traffic {
  readonly #attached = new Set<Moved>();
  #past: Moved = { requests: 0, bytesRead: 0, bytesWritten: 0 };

  /** Connections that have an export. */
  get attached(): number {
    return this.#attached.size;
  }

  begin(connection: Moved): void {
    this.#attached.add(connection);
  }

  /** `connection` moves no more. */
  end(connection: Moved): void {
    if (this.#attached.delete(connection)) this.#past = sum(this.#past, connection);
  }

  /** By the names that they have in metrics. */
  stats(): Record<string, number> {
    const { requests, bytesRead, bytesWritten } = [...this.#attached].reduce(sum, this.#past);
    return { requests, 'read.bytes': bytesRead, 'written.bytes': bytesWritten };
  }
}

function sum(one: Moved, other: Moved): Moved {
  return {
    requests: one.requests + other.requests,
    bytesRead: one.bytesRead + other.bytesRead,
    bytesWritten: one.bytesWritten + other.bytesWritten,
  };
}
