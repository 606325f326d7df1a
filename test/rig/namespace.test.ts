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

test('a command that runs past its time is ended itself, not only the way in', async () => {
  space = await NetworkNamespace.open();
  const slow = space.run(['sh', '-c', 'echo $$ && exec sleep 1000'], { timeoutMs: 500 });
  const pid = await slow.then(
    () => expect.fail('it must not end by itself'),
    (error: Error) => /no end after 500 ms\n(\d+)/.exec(error.message)?.[1],
  );
  expect(pid).toMatch(/^\d+$/);
  const left = async () => (await space!.run(['sh', '-c', `kill -0 ${pid} 2>/dev/null`])).code === 0;
  await expect.poll(left).toBe(false);
});

test('the signal that ended a command is its exit code', async () => {
  space = await NetworkNamespace.open();
  expect((await space.run(['sh', '-c', 'kill -TERM $$'])).code).toBe(143);
});
