/**
 * A node at the end of a serial line, without hardware: it speaks the serial protocol beside its console, and keeps its
 * pointer store in memory through every reset. It owns no socket and no timer.
 */
import type { PointerLayout } from '../../agent/protocol/pointer/layout.ts';
import type { Eeprom } from '../../agent/protocol/pointer/store.ts';
import { SerialAnswerer } from '../../agent/protocol/serial/answerer.ts';
import { SerialFrameReader } from '../../agent/protocol/serial/frame.ts';

export interface SimulatedSerialOptions {
  uid: string;
  layout: PointerLayout;
  /** The store's content; written to in place. At least as long as the layout. */
  image: Uint8Array;
  /** Shows its pointer and refuses writes. */
  locked?: boolean;
  /** Bytes for the line. */
  send(bytes: Uint8Array): void;
}

export class SimulatedSerialNode {
  /** How often it was started. */
  starts = 0;
  /** Bytes written to the store so far. */
  written = 0;
  /** The power goes when so many bytes have been written, in the middle of a write too. */
  cutAfter = Number.POSITIVE_INFINITY;
  readonly #options: SimulatedSerialOptions;
  #reader = new SerialFrameReader();
  #answerer: SerialAnswerer | undefined;
  #log = '';

  constructor(options: SimulatedSerialOptions) {
    this.#options = options;
  }

  /** Power-on, or a reset: memory is gone, the store is not. It listens at once. */
  start(): void {
    const { uid, layout, image, locked = false } = this.#options;
    this.starts++;
    this.#reader = new SerialFrameReader();
    this.#log = '';
    const store: Eeprom = {
      read: (offset, length) => image.slice(offset, offset + length),
      write: (offset, bytes) => {
        const left = this.cutAfter - this.written;
        image.set(bytes.subarray(0, left), offset);
        this.written += Math.min(bytes.length, left);
        if (bytes.length >= left) this.cutPower();
      },
    };
    const identity = { uid, layout: layout.name, size: layout.size, locked, firmware: 'simulated firmware' };
    this.#answerer = new SerialAnswerer(identity, store, () => this.#log);
    this.say('bootwright: firmware start\r\n');
  }

  /** It listens no more. */
  cutPower(): void {
    this.#answerer = undefined;
  }

  /** Console text, which its log keeps. */
  say(text: string): void {
    if (this.#answerer === undefined) return;
    this.#log += text;
    this.#options.send(new TextEncoder().encode(text));
  }

  receive(bytes: Uint8Array): void {
    for (const item of this.#reader.push(bytes)) {
      if (item.kind !== 'frame') continue;
      const reaction = this.#answerer?.take(item.frame);
      // It may have lost its power in the middle of what was asked.
      if (reaction === undefined || this.#answerer === undefined) continue;
      this.#options.send(reaction.send);
      if (reaction.reset) this.start();
    }
  }
}
