/** Byte ranges (RFC 9110 section 14): one range is served; several in one request are answered whole. Pure. */

export type Range =
  /** The whole file. */
  | { kind: 'whole' }
  /** Bytes `from` up to and without `to`. */
  | { kind: 'part'; from: number; to: number }
  /** No byte of the file is in it. */
  | { kind: 'unsatisfiable' };

/**
 * What a Range header asks of a file of `size` bytes. A header that is not understood is ignored, as the RFC says
 * (section 14.2).
 */
export function rangeOf(header: string | undefined, size: number): Range {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.replaceAll(' ', '') ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (match === null || (first === '' && last === '')) return { kind: 'whole' };
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? { kind: 'unsatisfiable' } : { kind: 'part', from: size - length, to: size };
  }
  const from = Number(first);
  if (last !== '' && Number(last) < from) return { kind: 'whole' };
  if (from >= size) return { kind: 'unsatisfiable' };
  return { kind: 'part', from, to: last === '' ? size : Math.min(Number(last) + 1, size) };
}
