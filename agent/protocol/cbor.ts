/** CBOR (RFC 8949) of plain data, without the extensions that `cbor-shape.ts` refuses. */
import { Decoder, Encoder } from 'cbor-x';
import { cborFault, DEEPEST } from './cbor-shape.ts';
import { lazily } from './lazily.ts';

const encoder = lazily(() => new Encoder({ useRecords: false, mapsAsObjects: true, tagUint8Array: false }));
const decoder = lazily(() => new Decoder({ useRecords: false, mapsAsObjects: true }));

/** The encoding of objects, arrays, strings, finite numbers, booleans, null and Uint8Array. */
export function encodeCbor(value: unknown): Uint8Array {
  return encoder().encode(value);
}

/**
 * What `bytes` encode, nested at most `deepest` deep. Byte strings come as views of `bytes`' memory. Throws Error in
 * words where `bytes` are not one item of that part of CBOR.
 */
export function decodeCbor(bytes: Uint8Array, deepest = DEEPEST): unknown {
  const fault = cborFault(bytes, deepest);
  if (fault !== undefined) throw new Error(fault);
  return decoder().decode(bytes);
}
