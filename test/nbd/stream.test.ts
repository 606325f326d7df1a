import { expect, test } from 'vitest';
import { hasNativeStreams, takeOver } from '../../imager/nbd/stream-native.ts';
import { PlainStream } from '../../imager/nbd/stream-plain.ts';
import { streamContract } from '../contract/nbd-stream.ts';

test('the native streams are built', () => {
  expect(hasNativeStreams()).toBe(true);
});

streamContract('native streams', (socket) => takeOver(socket)!, true);
streamContract("Node's sockets", (socket) => new PlainStream(socket), false);
