/** Structures of SMBIOS tables (DMTF DSP0134, sections 6 and 7). Little-endian; whatever a length says, nothing is read past the end. Pure. */

const HEADER = 4;
const END_OF_TABLE = 127;
/** More than any board has. */
const MAX_STRUCTURES = 4096;

export class SmbiosStructure {
  readonly type: number;
  readonly #formatted: Uint8Array;
  readonly #texts: readonly string[];

  constructor(formatted: Uint8Array, texts: readonly string[]) {
    this.type = formatted[0]!;
    this.#formatted = formatted;
    this.#texts = texts;
  }

  /** Undefined where the structure is of a version that had no such field. */
  byte(offset: number): number | undefined {
    return this.#formatted[offset];
  }

  word(offset: number): number | undefined {
    const [low, high] = [this.byte(offset), this.byte(offset + 1)];
    return low === undefined || high === undefined ? undefined : low | (high << 8);
  }

  doubleWord(offset: number): number | undefined {
    const [low, high] = [this.word(offset), this.word(offset + 2)];
    return low === undefined || high === undefined ? undefined : low + high * 0x10000;
  }

  /** The text whose number is at `offset` (6.1.3); undefined where there is none. */
  text(offset: number): string | undefined {
    return this.#texts[(this.byte(offset) ?? 0) - 1]?.trim() || undefined;
  }
}

/** Those before the end of the table, or before one that is damaged. */
export function smbiosStructures(table: Uint8Array): SmbiosStructure[] {
  const structures: SmbiosStructure[] = [];
  let at = 0;
  while (at + HEADER <= table.length && structures.length < MAX_STRUCTURES) {
    const [type, length] = [table[at]!, table[at + 1]!];
    if (length < HEADER || at + length > table.length || type === END_OF_TABLE) break;
    const formatted = table.subarray(at, at + length);
    const { texts, end } = textsFrom(table, at + length);
    structures.push(new SmbiosStructure(formatted, texts));
    at = end;
  }
  return structures;
}

/** Texts behind a structure, each with a NUL, one more behind them; two NULs where there is none. */
function textsFrom(table: Uint8Array, start: number): { texts: string[]; end: number } {
  const texts: string[] = [];
  let at = start;
  while (at < table.length && table[at] !== 0) {
    const nul = table.indexOf(0, at);
    const end = nul < 0 ? table.length : nul;
    texts.push(new TextDecoder().decode(table.subarray(at, end)));
    at = end + 1;
  }
  return { texts, end: at + (texts.length === 0 ? 2 : 1) };
}
