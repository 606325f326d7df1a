import { expect, test } from 'vitest';
import { hasNative, openNative } from '../../imager/udp/native.ts';
import { openPlain } from '../../imager/udp/plain.ts';
import { udpContract } from '../contract/udp.ts';

test('the native sockets are built', () => {
  expect(hasNative()).toBe(true);
});

udpContract('native sockets', (options) => openNative(options)!);
udpContract("Node's sockets", openPlain);
