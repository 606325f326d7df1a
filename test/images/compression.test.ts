/** What the kernel must do with what comes of compressing. */
import { expect, test } from 'vitest';
import { compress } from '../../imager/images/compression.ts';

test('the dictionary of an xz is of 8 MiB: the kernel allocates all of it before /init runs', async () => {
  const bytes = await compress(new Uint8Array(100_000), 'xz');
  // The .xz file format, 3.1 and 5.3.1: behind the stream's header of 12 bytes come size and flags of the block's; then the
  // filter LZMA2 and its one byte of properties, of which 22 means 2 << (22 / 2 + 11) bytes.
  expect([...bytes.subarray(14, 17)]).toEqual([0x21, 1, 22]);
});
