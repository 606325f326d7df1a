/**
 * What a console says, as far as it helps to tell why nobody answers: how much of it is text, and its last line. A Linux
 * that waits for a login echoes what is sent to it: frames come back as text, with `^@` for a zero (termios(3), ECHOCTL), and
 * what begins with 0x80 and above as it is. That is no sign of a wrong baud rate.
 */
import type { ConsoleSummary } from './task.ts';

const LONGEST_LINE = 200;
const [TAB, LINE_FEED, CARRIAGE_RETURN, ESCAPE, DELETE] = [0x09, 0x0a, 0x0d, 0x1b, 0x7f];
/** A terminal rings where a line is full, and goes back where it is rubbed out: 0x7f, Ctrl-U and Ctrl-W in a frame. */
const [BELL, BACKSPACE] = [0x07, 0x08];
const HARMLESS: readonly number[] = [TAB, ESCAPE, BELL, BACKSPACE];
/** Odd bytes sent that may still come back. */
const LONGEST_ECHO = 4096;

export class ConsoleText implements ConsoleSummary {
  bytes = 0;
  odd = 0;
  echoed = 0;
  /** The odd ones of the bytes sent that have not come back. */
  #sent: number[] = [];
  #line = '';
  #last = '';

  get lastLine(): string {
    return this.#line.trim() === '' ? this.#last : this.#line.trim();
  }

  /** Notes what is sent to the console. */
  sent(bytes: Uint8Array): void {
    this.#sent = [...this.#sent, ...[...bytes].filter(isOdd)].slice(-LONGEST_ECHO);
  }

  push(bytes: Uint8Array): void {
    for (const byte of bytes) {
      this.bytes++;
      if (byte === LINE_FEED || byte === CARRIAGE_RETURN) this.#endLine();
      else if (byte >= 0x20 && byte < DELETE) {
        if (this.#line.length < LONGEST_LINE) this.#line += String.fromCharCode(byte);
      } else if (isOdd(byte)) this.#countOdd(byte);
    }
  }

  /** An echo comes in order; what a terminal left out of it is passed over. */
  #countOdd(byte: number): void {
    const at = this.#sent.indexOf(byte);
    if (at === -1) this.odd++;
    else {
      this.echoed++;
      this.#sent.splice(0, at + 1);
    }
  }

  #endLine(): void {
    if (this.#line.trim() !== '') this.#last = this.#line.trim();
    this.#line = '';
  }
}

function isOdd(byte: number): boolean {
  const isText = byte === LINE_FEED || byte === CARRIAGE_RETURN || (byte >= 0x20 && byte < DELETE);
  return !isText && !HARMLESS.includes(byte);
}
