/** Option fields: code, length, value triples in the options, file and sname fields of a message. */
import { DhcpError } from '../error.ts';
import { OPTION } from './codes.ts';

/** Option code -> whole value. Order of insertion is order on the wire. */
export type Options = Map<number, Uint8Array>;

/** Longest value of one instance of an option; longer values are split over several (RFC 3396 section 5). */
const MAX_INSTANCE = 255;

/**
 * Adds the options found in `field` to `into`, as views of its bytes. Instances of one code are concatenated in the order
 * found, across fields (RFC 3396 section 7). A field that ends without an end option is accepted: senders that leave
 * it out exist. Throws DhcpError 'option-truncated'; `base` is the field's offset in the message, for the error.
 */
export function readOptions(field: Uint8Array, base: number, into: Options): void {
  /** Of the codes that come several times: nearly never any. */
  let instances: Map<number, Uint8Array[]> | undefined;
  let at = 0;
  while (at < field.length) {
    const code = field[at]!;
    if (code === OPTION.end) break;
    if (code === OPTION.pad) {
      at += 1;
      continue;
    }
    const length = field[at + 1];
    if (length === undefined || at + 2 + length > field.length)
      throw new DhcpError('option-truncated', `option ${code} runs past the end of its field`, base + at);
    const value = new Uint8Array(field.buffer, field.byteOffset + at + 2, length);
    const former = into.get(code);
    if (former === undefined) into.set(code, value);
    else {
      instances ??= new Map();
      const parts = instances.get(code);
      if (parts === undefined) instances.set(code, [former, value]);
      else parts.push(value);
    }
    at += 2 + length;
  }
  if (instances !== undefined)
    for (const [code, parts] of instances) into.set(code, Uint8Array.from(Buffer.concat(parts)));
}

/** Bytes of an option on the wire where it is not split over fields. */
function wireLength(value: Uint8Array): number {
  return value.length + (value.length <= MAX_INSTANCE ? 2 : 2 * Math.ceil(value.length / MAX_INSTANCE));
}

/**
 * Writes `options` into `fields`, each option whole into the first field with room, in order; each field keeps one
 * byte for the end option. Option 82 goes to the end of the first field, where its room is kept. Gives the codes that
 * found no room anywhere and the bytes used of the first field.
 */
export function placeOptions(
  options: Options,
  fields: readonly Uint8Array[],
): { omitted: number[]; used: number } {
  const ends = fields.map(() => 0);
  const omitted: number[] = [];
  const relay = options.get(OPTION.relayAgentInformation);
  const kept = relay === undefined ? 0 : wireLength(relay);
  // Not by for of, which would make a pair of each.
  options.forEach((value, code) => {
    if (code === OPTION.relayAgentInformation) return;
    const length = wireLength(value);
    let index = 0;
    while (index < fields.length && ends[index]! + length + (index === 0 ? kept : 0) >= fields[index]!.length)
      index++;
    if (index === fields.length) omitted.push(code);
    else ends[index] = writeOption(fields[index]!, ends[index]!, code, value);
  });
  if (relay !== undefined && ends[0]! + kept < fields[0]!.length)
    ends[0] = writeOption(fields[0]!, ends[0]!, OPTION.relayAgentInformation, relay);
  else if (relay !== undefined) omitted.push(OPTION.relayAgentInformation);
  fields.forEach((field, i) => {
    field[ends[i]!] = OPTION.end;
  });
  return { omitted, used: (ends[0] ?? 0) + 1 };
}

function writeOption(field: Uint8Array, offset: number, code: number, value: Uint8Array): number {
  let at = offset;
  let from = 0;
  if (value.length <= MAX_INSTANCE) {
    field[at] = code;
    field[at + 1] = value.length;
    field.set(value, at + 2);
    return at + 2 + value.length;
  }
  do {
    const part = value.subarray(from, from + MAX_INSTANCE);
    field[at] = code;
    field[at + 1] = part.length;
    field.set(part, at + 2);
    at += 2 + part.length;
    from += part.length;
  } while (from < value.length);
  return at;
}
