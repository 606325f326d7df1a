/** HTTP: the Range header, and those that name entity tags. */
import { entityTag, isKnown, rangeCounts } from '../../../imager/http/conditional.ts';
import { rangeOf } from '../../../imager/http/range.ts';
import { promise, type Target } from '../target.ts';

const text = (value: string) => Buffer.from(value, 'latin1');
const TAG = entityTag('1k-2z-3');
const SIZES = [0, 1, 1000, 8_388_608, Number.MAX_SAFE_INTEGER];

export function rangeTarget(): Target {
  let turn = 0;
  return {
    seeds: [
      `W/${TAG}, "other"`,
      TAG,
      'bytes=0-499',
      'bytes=500-',
      'bytes=-500',
      'bytes=0-0,-1',
      'bytes= 1 - 2 ',
      'items=0-1',
      'bytes=999-',
    ].map(text),
    tokens: [TAG, 'W/', '*', '"', 'bytes=', '-', ',', '999999999999999', '0000', ' '].map(text),
    maxLength: 8192,
    take(bytes) {
      const header = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
      const size = SIZES[turn++ % SIZES.length]!;
      const known = isKnown(header, TAG);
      promise(!known || header.includes(TAG) || header.includes('*'), 'a tag that is known was named');
      promise(!rangeCounts(header, TAG) || header.trim() === TAG, 'a range counts for one content');
      const range = rangeOf(header, size);
      if (range.kind !== 'part') return range.kind === 'unsatisfiable';
      const { from, to } = range;
      promise(Number.isSafeInteger(from) && Number.isSafeInteger(to), `bytes ${from} to ${to}`);
      promise(from >= 0 && from < to && to <= size, `bytes ${from} to ${to} of ${size}`);
      return true;
    },
  };
}
