import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ipv4ToNumber, numberToIpv4 } from '../../agent/protocol/ipv4.ts';
import { decide } from '../../imager/dhcp/decide.ts';
import { FreeAddresses } from '../../imager/dhcp/free-addresses.ts';
import { bind, lease, outcome, perform, request, world } from './fakes.ts';

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

test('of 65,536 addresses the last 500 free ones are found without a search, then there are none', () => {
  const pools = [{ from: '10.78.0.0', to: '10.78.255.255' }];
  const here = world({ config: { prefix: 14, pools } });
  const octets = (n: number) => [(n >> 8) & 255, n & 255];
  const isLeft = (n: number) => n % 131 === 7 && n < 65_500;
  const all = Array.from({ length: 65_536 }, (_, n) => `10.78.${octets(n).join('.')}`);
  const left = all.filter((_, n) => isLeft(n));
  const taken = all.filter((_, n) => !isLeft(n));
  void here.leases.apply(
    taken.map((address) => ({ type: 'put', lease: lease({ address, client: address, mac: address }) })),
  );
  const mac = (n: number) =>
    `02:00:00:00:${octets(n)
      .map((octet) => octet.toString(16).padStart(2, '0'))
      .join(':')}`;
  const given = left.map((_, n) => bind(mac(n), here));
  expect(left).toHaveLength(500);
  expect(given.sort()).toEqual(left.sort());
  for (let n = 500; n < 5000; n++)
    expect(outcome(decide(request('discover', { mac: mac(n) }), here))).toBe('silence: pool-exhausted');
});
