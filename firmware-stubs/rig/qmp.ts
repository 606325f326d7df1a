/** The QEMU Machine Protocol on a stream: tells why a machine stopped. */
import type { Readable, Writable } from 'node:stream';

/** Longest line read: QEMU's greeting and events are far shorter. */
const LONGEST_LINE = 64 * 1024;

export class Qmp {
  #rest = '';
  #shutdownReason: string | undefined;

  /** Takes over both directions of a control connection (QMP specification, "Capabilities Negotiation"). */
  constructor(input: Readable, output: Writable) {
    input.setEncoding('utf8').on('data', (chunk: string) => this.#take(chunk));
    // QEMU may end at any moment; its exit is what counts then.
    for (const stream of [input, output]) stream.on('error', () => {});
    output.write('{"execute": "qmp_capabilities"}\n');
  }

  /** `guest-reset`, `guest-shutdown` or another word of QEMU's ShutdownCause; undefined before the machine stops. */
  get shutdownReason(): string | undefined {
    return this.#shutdownReason;
  }

  #take(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = (lines.pop() ?? '').slice(0, LONGEST_LINE);
    for (const line of lines) {
      const message = parse(line);
      if (message.event === 'SHUTDOWN') this.#shutdownReason = message.data?.reason;
    }
  }
}

function parse(line: string): { event?: string; data?: { reason?: string } } {
  try {
    return JSON.parse(line) as { event?: string };
  } catch {
    return {};
  }
}
