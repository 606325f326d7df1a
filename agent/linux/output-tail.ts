/** The last bytes of a program's output, however much it prints. */
import { joined } from '../protocol/joined.ts';
import { OUTPUT_BYTES } from '../protocol/output.ts';

export class OutputTail {
  #chunks: Uint8Array[] = [];
  #length = 0;

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    for (let first = this.#chunks[0]; first !== undefined; first = this.#chunks[0]) {
      if (this.#length - first.length < OUTPUT_BYTES) break;
      this.#chunks.shift();
      this.#length -= first.length;
    }
  }

  /** At most the last OUTPUT_BYTES bytes as text, from a character's first byte on. */
  text(): string {
    const all = joined(this.#chunks);
    let start = Math.max(0, all.length - OUTPUT_BYTES);
    // Continuation bytes (10xxxxxx) belong to a character that was cut off; at most three can follow one another.
    if (start > 0) for (let n = 0; n < 3 && (all[start]! & 0xc0) === 0x80; n++) start++;
    return new TextDecoder().decode(all.subarray(start));
  }
}
