/** Whose an address is: also of an interface without carrier, which Node leaves out. */
import { expect, test } from 'vitest';
import { NetworkNamespace } from '../../firmware-stubs/rig/namespace.ts';
import { bundle, startInside } from '../support/inside.ts';

test('the interface of an address', async () => {
  const space = await NetworkNamespace.open();
  try {
    await space.check([
      'sh',
      '-ec',
      `ip link add near type veth peer name far; ip addr add 10.77.0.1/24 dev near; ip link set near up
      ip link add some type veth peer name other; ip link set other up; ip addr add 10.77.0.2/24 dev some label some:1; ip addr add 10.77.0.3/24 dev some
      ip addr add 10.77.0.4/32 dev some; ip addr add 10.77.0.4/32 dev near; ip link set some up
      ip addr add 10.77.0.5/32 dev lo`,
    ]);
    const addresses = ['10.77.0.1', '10.77.0.2', '10.77.0.4', '10.77.0.5', '10.77.0.9', 'fe80::1', ''];
    const { ready } = await startInside(space, await bundle('test/udp/programs/interfaces.ts'), addresses);
    expect(JSON.parse(ready.slice('ready '.length))).toEqual(['near', 'some', null, null, null, null, null]);
  } finally {
    await space.close();
  }
});
