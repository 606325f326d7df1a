/** Files and checksums once more as they are where host.c is not built. */
import { describe, expect, test, vi } from 'vitest';

vi.mock('../../imager/disks/host.ts', () => ({
  hasHostCalls: () => false,
  checksumsHere: vi.fn(() => false),
  firstWrongHere: vi.fn(() => undefined),
  readHere: vi.fn(() => undefined),
  writeHere: vi.fn(() => undefined),
  slept: () => true,
  reserveSpace: () => false,
}));

describe('with what Node has', async () => {
  await import('./checksums.test.ts');
  await import('./system-file.test.ts');
});

test('it was that indeed', async () => {
  const { checksumsHere, firstWrongHere, readHere, writeHere } = await import('../../imager/disks/host.ts');
  for (const call of [checksumsHere, firstWrongHere, readHere, writeHere]) expect(call).toHaveBeenCalled();
});
