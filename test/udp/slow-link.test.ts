/** A link that is slower than the sender: what finds no room waits for it, and nothing is lost or overtaken. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NetworkNamespace } from '../../firmware-stubs/rig/namespace.ts';
import { bundle, startInside } from '../support/inside.ts';

let space: NetworkNamespace;
beforeAll(async () => {
  space = await NetworkNamespace.open();
  const shaped = 'tc qdisc add dev lo root tbf rate 16mbit burst 16kb limit 4mb';
  await space.check(shaped.split(' '));
});
afterAll(() => space.close());

test('more than the send buffer holds waits for room', async () => {
  const { ready } = await startInside(space, await bundle('test/udp/programs/slow-link.ts'), []);
  const { atOnce, ...end } = JSON.parse(ready.slice('ready '.length));
  expect(end).toEqual({ sent: 600, failed: 0, ordered: true });
  expect(atOnce).toBeLessThan(600);
});
