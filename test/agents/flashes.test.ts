import { expect, test } from 'vitest';
import { Directory } from '../../imager/agents/directory.ts';
import { Flashes, type FlashRequest } from '../../imager/agents/flashes.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { hello } from './hello.ts';

const HELLO = hello({ pointer: null });
const REQUEST: FlashRequest = {
  ...{ image: 'i', disks: ['x'], imagers: ['10.0.0.1'], cluster: 'c', deployment: 'd' },
};

test('a hello while a disk is being claimed ends the flash before anything is sent', async () => {
  const directory = new Directory(new MemoryRegistry(), () => true);
  await directory.join('node1', HELLO, '10.0.0.11', 1);
  const pushed: string[] = [];
  const flashes = new Flashes(directory, {
    isConnected: () => true,
    push: (node) => {
      pushed.push(node);
      return Promise.resolve({});
    },
  });
  const flash = expect(flashes.flash('node1', REQUEST)).rejects.toMatchObject({ reason: 'disconnected' });
  const joined = directory.join('node1', HELLO, '10.0.0.11', 2);
  await flash;
  await joined;
  expect(pushed).toEqual([]);
  expect(directory.ownerOf('x')).toBeUndefined();
});
