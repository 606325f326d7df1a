import { expect, test } from 'vitest';
import { hasNative, openNative } from '../../imager/udp/native.ts';
import { openPlain } from '../../imager/udp/plain.ts';
import { udpContract } from '../contract/udp.ts';

test('the native sockets are built', () => {
  expect(hasNative()).toBe(true);
});

test('a native socket tells the interface it hears; one that is not there is an error', async () => {
  const address = { address: '127.0.0.1', port: 0 };
  const socket = await openNative({ ...address, device: 'lo' })!;
  expect(socket.device).toBe('lo');
  await socket.close();
  await expect(openNative({ ...address, device: 'none0' })).rejects.toMatchObject({ code: 'ENODEV' });
});

udpContract('native sockets', (options) => openNative(options)!);
udpContract("Node's sockets", openPlain);
