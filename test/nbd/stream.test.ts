import { readFileSync } from 'node:fs';
import { afterAll, expect, test, vi } from 'vitest';
import { isPaced } from '../../imager/nbd/pacing.ts';
import { hasNativeStreams, takeOver } from '../../imager/nbd/stream-native.ts';
import { PlainStream } from '../../imager/nbd/stream-plain.ts';
import { streamContract } from '../contract/nbd-stream.ts';

// Whatever the machine has its connections paced by.
vi.mock('../../imager/nbd/pacing.ts', () => ({ isPaced: vi.fn(() => false) }));

afterAll(() => {
  const name = readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'latin1').trim();
  expect(isPaced).toHaveBeenCalledWith(name);
});

test('of connections that the kernel times, files are not sent', async () => {
  const { isPaced } = await vi.importActual<typeof import('../../imager/nbd/pacing.ts')>(
    '../../imager/nbd/pacing.ts',
  );
  expect(['bbr', 'bbr2', 'cubic', 'reno', ''].map(isPaced)).toEqual([true, true, false, false, false]);
});

test('the native streams are built', () => {
  expect(hasNativeStreams()).toBe(true);
});

streamContract('native streams', (socket) => takeOver(socket)!, true);
streamContract("Node's sockets", (socket) => new PlainStream(socket), false);
