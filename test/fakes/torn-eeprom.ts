/** A chip whose power can be torn after so many bytes, over all writes. */
import type { Eeprom } from '../../agent/protocol/pointer/store.ts';

export class PowerCut extends Error {}

export class TornEeprom implements Eeprom {
  readonly bytes: Uint8Array;
  /** Bytes until the power goes. */
  left = Number.POSITIVE_INFINITY;
  written = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = new Uint8Array(bytes);
  }

  read(offset: number, length: number): Uint8Array {
    return this.bytes.slice(offset, offset + length);
  }

  write(offset: number, bytes: Uint8Array): void {
    const length = Math.min(bytes.length, this.left);
    this.bytes.set(bytes.subarray(0, length), offset);
    this.left -= length;
    this.written += length;
    if (length < bytes.length) throw new PowerCut('power cut');
  }
}
