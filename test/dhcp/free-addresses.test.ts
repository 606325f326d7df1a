import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ipv4ToNumber, numberToIpv4 } from '../../agent/protocol/ipv4.ts';
import { decide } from '../../imager/dhcp/decide.ts';
import { FreeAddresses } from '../../imager/dhcp/free-addresses.ts';
import { outcome, perform, request, world } from './fakes.ts';

const BASE = ipv4ToNumber('10.0.0.0');

test('whatever happens to a pool, its free addresses come oldest first, and no others', () => {
  const change = fc.record({ index: fc.nat(63), time: fc.nat(50) });
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(63), { minLength: 1, maxLength: 64 }),
      fc.array(change, { maxLength: 200, size: 'max' }),
      fc.nat(50),
      (members, changes, now) => {
        const pool = Uint32Array.from(members, (offset) => BASE + offset).sort();
        const model = new Map<string, number>();
        for (const number of pool) model.set(numberToIpv4(number), number % 7);
        const free = new FreeAddresses(pool, (address) => model.get(address)!);
        for (const { index, time } of changes) {
          const address = numberToIpv4(BASE + index);
          free.update(address, time);
          if (model.has(address)) model.set(address, time);
        }
        const expected = [...model]
          .filter(([, time]) => time <= now)
          .sort(([a, x], [b, y]) => x - y || ipv4ToNumber(a) - ipv4ToNumber(b))
          .map(([address]) => address);
        expect([...free.oldest(now)]).toEqual(expected);
      },
    ),
  );
});

test('the lease book and a search of the whole pool agree about who is free', () => {
  const step = fc.record({
    mac: fc.integer({ min: 0, max: 15 }).map((n) => `52:54:00:00:01:0${n.toString(16)}`),
    type: fc.constantFrom('discover', 'request', 'release', 'decline'),
    wait: fc.constantFrom(0, 0, 0, 31_000, 700_000),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const here = world({
        config: { pools: [{ from: '10.77.0.100', to: '10.77.0.107' }], leaseSeconds: 600 },
      });
      const pool = Array.from({ length: 8 }, (_, i) => `10.77.0.${100 + i}`);
      for (const { mac, type, wait } of steps) {
        here.now += wait;
        const known = here.leases.offerTo(`mac:${mac}`, here.now) ?? here.leases.byClient(`mac:${mac}`);
        const address = known?.address ?? '10.77.0.100';
        const asked = { 50: Uint8Array.from(address.split('.').map(Number)) };
        const fields = type === 'release' ? { mac, ciaddr: address } : { mac };
        perform(
          decide(request(type, fields, type === 'request' || type === 'decline' ? asked : {}), here),
          here,
        );
        const searched = pool.filter((each) => {
          const lease = here.leases.byAddress(each);
          const isLeased = lease !== undefined && lease.expires > here.now;
          return !isLeased && here.leases.offerOf(each, here.now) === undefined;
        });
        expect([...here.leases.unused(here.networks.own, here.now)].sort()).toEqual(searched.sort());
      }
    }),
    { numRuns: 60 },
  );
});

test('a pool of 65,536 addresses is given out to the last one without being searched', () => {
  const config = {
    prefix: 14,
    serverAddress: '10.76.0.1',
    pools: [{ from: '10.77.0.0', to: '10.77.255.255' }],
  };
  const here = world({ config: { ...config, router: '10.76.0.1' } });
  const given = new Set<string>();
  for (let n = 0; n < 65_536; n++) {
    const mac = `02:00:00:${[n >> 16, (n >> 8) & 255, n & 255].map((b) => b.toString(16).padStart(2, '0')).join(':')}`;
    const decision = perform(decide(request('discover', { mac }), here), here);
    given.add(outcome(decision));
  }
  expect(given.size).toBe(65_536);
  for (let n = 0; n < 10_000; n++) {
    const mac = `02:01:00:00:${[(n >> 8) & 255, n & 255].map((b) => b.toString(16).padStart(2, '0')).join(':')}`;
    expect(outcome(decide(request('discover', { mac }), here))).toBe('silence: pool-exhausted');
  }
});
