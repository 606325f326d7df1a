import { afterEach, expect, test } from 'vitest';
import { NetworkNamespace } from '../../firmware-stubs/rig/namespace.ts';

let space: NetworkNamespace | undefined;
afterEach(() => space?.close());

test('a namespace has its own loopback and nothing else', async () => {
  space = await NetworkNamespace.open();
  const links = JSON.parse(await space.check(['ip', '-json', 'link'])) as { ifname: string }[];
  expect(links.map((link) => link.ifname)).toEqual(['lo']);
});

test('closing ends what runs inside', async () => {
  space = await NetworkNamespace.open();
  const child = space.spawn(['sleep', '1000']);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await space.close();
  await ended;
  expect(child.exitCode ?? child.signalCode).not.toBeNull();
});

test('a failing command rejects with what it printed', async () => {
  space = await NetworkNamespace.open();
  await expect(space.check(['sh', '-c', 'echo why >&2; exit 3'])).rejects.toThrow(/exit 3\nwhy/);
});
