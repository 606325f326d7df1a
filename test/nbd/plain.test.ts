/** The server's tests once more, on Node's own sockets: that is what is used where the native streams are not built. */
import { describe, expect, test, vi } from 'vitest';

vi.mock('../../imager/nbd/stream-native.ts', async (original) => ({
  ...(await original<typeof import('../../imager/nbd/stream-native.ts')>()),
  takeOver: vi.fn(() => undefined),
}));

describe("on Node's sockets", async () => {
  await import('./server.test.ts');
  await import('./structured.test.ts');
  await import('./files.test.ts');
  await import('./fuzz.test.ts');
});

test('it was them indeed', async () => {
  const { takeOver } = await import('../../imager/nbd/stream-native.ts');
  expect(takeOver).toHaveBeenCalled();
});
