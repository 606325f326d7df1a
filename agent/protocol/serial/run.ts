/** Pieces of a pointer store on the line: literal bytes, then one byte repeated, for stores are mostly filling. */

export interface Run {
  bytes: Uint8Array;
  /** The byte that follows `bytes` up to `length`. */
  fill: number;
  /** Bytes of the store it stands for, `bytes` included. */
  length: number;
}

/** The piece of `image` from `offset`: at most `most` literal bytes, and all that repeats after them before `end`. */
export function runAt(image: Uint8Array, offset: number, end: number, most: number): Run {
  let literal = Math.min(end, offset + most);
  const fill = image[literal - 1] ?? 0;
  let covered = literal;
  while (covered < end && image[covered] === fill) covered++;
  // The repeated byte itself need not be among the literal ones.
  while (literal > offset && image[literal - 1] === fill) literal--;
  return { bytes: image.slice(offset, literal), fill, length: covered - offset };
}

/** The bytes it stands for. */
export function expandRun({ bytes, fill, length }: Run): Uint8Array {
  const whole = new Uint8Array(length).fill(fill);
  whole.set(bytes);
  return whole;
}
