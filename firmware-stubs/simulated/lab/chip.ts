/** The chip that keeps a node's boot pointers through every loss of power. */
import type { Patch } from '../../../agent/protocol/pointer/layout.ts';
import type { Eeprom } from '../../../agent/protocol/pointer/store.ts';
import type { Life } from './life.ts';

export class SimulatedChip {
  readonly bytes: Uint8Array;
  /** Counts of bytes at which a write is told of, beside its end. */
  readonly #stops: readonly number[];
  readonly #told: (patch: Patch, stored: number) => void;

  /** `told`: so many bytes of a write are there. It may cut the power: no more come then. */
  constructor(size: number, stops: readonly number[], told: (patch: Patch, stored: number) => void) {
    this.bytes = new Uint8Array(size);
    this.#stops = [...new Set(stops)].sort((a, b) => a - b);
    this.#told = told;
  }

  /** The chip as a machine sees it that reads what it has just written. */
  opened(life: Life): Eeprom {
    const seen = this.bytes.slice();
    return {
      read: (offset, length) => seen.slice(offset, offset + length),
      write: (offset, bytes) => {
        seen.set(bytes, offset);
        this.#store({ offset, bytes: bytes.slice() }, life);
      },
    };
  }

  /** Byte after byte; only where it stops anything can come between two of them. */
  #store(patch: Patch, life: Life): void {
    const { offset, bytes } = patch;
    let from = 0;
    for (const stop of [...this.#stops.filter((each) => each < bytes.length), bytes.length]) {
      const piece = { at: offset + from, bytes: bytes.subarray(from, stop) };
      from = stop;
      life.does(() => {
        this.bytes.set(piece.bytes, piece.at);
        this.#told(patch, stop);
      });
    }
  }
}
