/** What a console says, as far as it helps to tell why nobody answers: how much of it is text, and its last line. */
import type { ConsoleSummary } from './task.ts';

const LONGEST_LINE = 200;
const [TAB, LINE_FEED, CARRIAGE_RETURN, ESCAPE, DELETE] = [0x09, 0x0a, 0x0d, 0x1b, 0x7f];

export class ConsoleText implements ConsoleSummary {
  bytes = 0;
  odd = 0;
  #line = '';
  #last = '';

  get lastLine(): string {
    return this.#line.trim() === '' ? this.#last : this.#line.trim();
  }

  push(bytes: Uint8Array): void {
    for (const byte of bytes) {
      this.bytes++;
      if (byte === LINE_FEED || byte === CARRIAGE_RETURN) this.#endLine();
      else if (byte >= 0x20 && byte < DELETE) {
        if (this.#line.length < LONGEST_LINE) this.#line += String.fromCharCode(byte);
      } else if (byte !== TAB && byte !== ESCAPE) this.odd++;
    }
  }

  #endLine(): void {
    if (this.#line.trim() !== '') this.#last = this.#line.trim();
    this.#line = '';
  }
}
