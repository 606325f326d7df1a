import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { Lease } from '../../imager/dhcp/lease.ts';
import { Leases } from '../../imager/dhcp/leases.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import type { Key, Registry, Transaction } from '../../imager/registry/registry.ts';
import { BrokenRegistry } from './fakes.ts';

function lease(fields: Partial<Lease> = {}): Lease {
  return {
    address: '10.77.0.100',
    client: 'mac:a',
    mac: 'a',
    state: 'bound',
    start: 0,
    expires: 1000,
    ...fields,
  };
}
const put = (value: Lease) => ({ type: 'put' as const, lease: value });
const ignore = () => {};

test('what was applied is there after a restart, and the latest lease of a client counts', async () => {
  const registry = new MemoryRegistry();
  const before = new Leases(registry, ignore);
  await before.apply([put(lease({ start: 5 })), put(lease({ address: '10.77.0.101', start: 2 }))]);
  await before.close();
  const after = new Leases(registry, ignore);
  expect(after.byClient('mac:a')?.address).toBe('10.77.0.100');
  expect(after.view(500).map(({ address, active }) => [address, active])).toEqual([
    ['10.77.0.100', true],
    ['10.77.0.101', true],
  ]);
});

test('the lease last given to a MAC is known by it where that was to a node, after a restart too', async () => {
  const registry = new MemoryRegistry();
  const before = new Leases(registry, ignore);
  const mine = { client: 'node:n1', node: 'n1' };
  const second = '10.77.0.101';
  await before.apply([put(lease({ ...mine, start: 1 })), put(lease({ ...mine, address: second, start: 2 }))]);
  expect(before.ofNodeAt('a')?.address).toBe(second);
  const after = new Leases(registry, ignore);
  expect(after.ofNodeAt('a')?.address).toBe(second);
  await after.apply([put(lease({ ...mine, address: second, start: 3 }))]);
  expect(after.ofNodeAt('a')?.start).toBe(3);
  await after.apply([put(lease({ address: '10.77.0.102', start: 4 }))]);
  expect(after.ofNodeAt('a')).toBeUndefined();
  expect(new Leases(registry, ignore).ofNodeAt('a')).toBeUndefined();
  await after.apply([
    put(lease({ ...mine, address: second, start: 5 })),
    { type: 'delete', address: second },
  ]);
  expect(after.ofNodeAt('a')).toBeUndefined();
});

test('an address that another client is given is no longer found by the former one', async () => {
  const leases = new Leases(new MemoryRegistry(), ignore);
  await leases.apply([put(lease({ client: 'node:n1', node: 'n1' }))]);
  await leases.apply([put(lease({ client: 'mac:b', mac: 'b' }))]);
  expect([leases.byClient('node:n1'), leases.ofNodeAt('a')]).toEqual([undefined, undefined]);
  await leases.apply([put(lease({ client: 'mac:b', mac: 'b', state: 'declined' }))]);
  await leases.apply([put(lease({ client: 'mac:b', mac: 'b' }))]);
  expect(leases.declinedBy('b', 0)).toBe(0);
});

test('a node whose board was exchanged renews its address from another MAC: the former one is no longer known', async () => {
  const leases = new Leases(new MemoryRegistry(), ignore);
  const mine = { client: 'node:n1', node: 'n1' };
  await leases.apply([put(lease(mine))]);
  await leases.apply([put(lease({ ...mine, mac: 'b' }))]);
  expect([leases.ofNodeAt('a'), leases.ofNodeAt('b')?.address]).toEqual([undefined, '10.77.0.100']);
});

test('it counts at once and is durable when the promise resolves', async () => {
  const registry = new MemoryRegistry();
  const leases = new Leases(registry, ignore);
  const applied = leases.apply([put(lease())]);
  expect(leases.byAddress('10.77.0.100')).toEqual(lease());
  await applied;
  expect(registry.get(['lease', '10.77.0.100'])).toEqual(lease());
});

test('a failed commit rejects and leaves what the registry holds', async () => {
  const registry = new BrokenRegistry();
  const leases = new Leases(registry, ignore);
  await leases.apply([put(lease())]);
  registry.broken = true;
  await expect(leases.apply([put(lease({ client: 'mac:b', mac: 'b' }))])).rejects.toThrow('disk full');
  expect(leases.byAddress('10.77.0.100')).toEqual(lease());
  expect(leases.byClient('mac:b')).toBeUndefined();
});

test('what others change in the registry is followed', async () => {
  const registry = new MemoryRegistry();
  const leases = new Leases(registry, ignore);
  await leases.apply([put(lease())]);
  await registry.transact((tx) => tx.delete(['lease', '10.77.0.100']));
  expect(leases.byAddress('10.77.0.100')).toBeUndefined();
  await registry.transact((tx) => tx.put(['lease', '10.77.0.101'], lease({ address: '10.77.0.101' })));
  expect(leases.byClient('mac:a')?.address).toBe('10.77.0.101');
  await leases.close();
  await registry.transact((tx) => tx.delete(['lease', '10.77.0.101']));
  expect(leases.byClient('mac:a')?.address).toBe('10.77.0.101');
});

/** A registry that does `meanwhile` once, when a transaction has done its work and is not committed yet. */
class BusyRegistry extends MemoryRegistry {
  meanwhile: () => void = () => {};

  override transact<T>(work: (tx: Transaction) => T): Promise<T> {
    return super.transact((tx) => {
      const result = work(tx);
      const { meanwhile } = this;
      this.meanwhile = () => {};
      meanwhile();
      return result;
    });
  }
}

test('a later change is not undone by the news of an earlier one', async () => {
  const registry = new BusyRegistry();
  const leases = new Leases(registry, ignore);
  let second: Promise<void> | undefined;
  registry.meanwhile = () => {
    second = leases.apply([put(lease({ state: 'released' }))]);
  };
  await leases.apply([put(lease())]);
  expect(leases.byAddress('10.77.0.100')?.state).toBe('released');
  await second;
  expect(registry.get(['lease', '10.77.0.100'])).toMatchObject({ state: 'released' });
  expect(leases.byAddress('10.77.0.100')?.state).toBe('released');
});

test('nor by its failure', async () => {
  const registry = new BusyRegistry();
  const leases = new Leases(registry, ignore);
  let second: Promise<void> | undefined;
  registry.meanwhile = () => {
    second = leases.apply([put(lease({ state: 'released' }))]);
    throw new Error('disk full');
  };
  const other = put(lease({ address: '10.77.0.101', client: 'mac:b' }));
  await expect(leases.apply([put(lease()), other])).rejects.toThrow('disk full');
  expect(leases.byAddress('10.77.0.100')?.state).toBe('released');
  expect(leases.byAddress('10.77.0.101')).toBeUndefined();
  await second;
  expect(registry.get(['lease', '10.77.0.100'])).toMatchObject({ state: 'released' });
  expect(leases.byAddress('10.77.0.100')?.state).toBe('released');
});

test('those that come before a commit begins, or while one is under way, share one', async () => {
  const registry = new BusyRegistry();
  const leases = new Leases(registry, ignore);
  const one = (n: number) =>
    leases.apply([put(lease({ address: `10.77.0.${n}`, client: `mac:${n}`, mac: `${n}` }))]);
  let later: Promise<void>[] = [];
  registry.meanwhile = () => {
    later = [20, 21, 22].map(one);
  };
  await Promise.all([10, 11, 12].map(one));
  await Promise.all(later);
  expect(registry.range(['lease']).map(({ key, revision }) => [key[1], revision])).toEqual([
    ...['10.77.0.10', '10.77.0.11', '10.77.0.12'].map((address) => [address, 1]),
    ...['10.77.0.20', '10.77.0.21', '10.77.0.22'].map((address) => [address, 2]),
  ]);
});

test('a registry that takes nothing rejects each batch, and the one after it starts anew', async () => {
  const registry = new BrokenRegistry();
  const leases = new Leases(registry, ignore);
  registry.broken = true;
  const refused = [put(lease()), put(lease({ address: '10.77.0.101' }))].map((each) => leases.apply([each]));
  for (const each of await Promise.allSettled(refused)) expect(each.status).toBe('rejected');
  expect(leases.view(0)).toEqual([]);
  registry.broken = false;
  await leases.apply([put(lease())]);
  expect(registry.get(['lease', '10.77.0.100'])).toEqual(lease());
});

test('clients that ask once and never again are forgotten when their address is offered anew', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const leases = new Leases(new MemoryRegistry(), ignore);
  const offer = (count: number) => {
    for (let i = 0; i < count; i++) {
      const client = `${Buffer.alloc(4000, 'x').toString('latin1')}${i}`;
      leases.offer({ type: 'hold', offer: { address: '10.77.0.100', client, expires: i } });
    }
    collect();
    return process.memoryUsage().heapUsed;
  };
  const before = offer(10);
  expect(offer(10_000) - before).toBeLessThan(4_000_000);
});

describe('values that are no leases', () => {
  test.each([
    ['nothing', null],
    ['text', 'lease'],
    ['another address than its key', lease({ address: '10.77.0.9' })],
    ['a state of another version', { ...lease(), state: 'frozen' }],
    ['no expiry', { ...lease(), expires: undefined }],
  ])('%s: told, and the address counts as free', async (_what, value) => {
    const registry = new MemoryRegistry();
    await registry.transact((tx) => tx.put(['lease', '10.77.0.100'], JSON.parse(JSON.stringify(value))));
    const told: string[] = [];
    expect(new Leases(registry, (address) => told.push(address)).byAddress('10.77.0.100')).toBeUndefined();
    expect(told).toEqual(['10.77.0.100']);
  });
});

test('nothing is lost where a registry does its work before it returns', async () => {
  const registry = new MemoryRegistry();
  const eager: Registry = Object.assign(Object.create(registry), {
    range: (prefix: Key) => registry.range(prefix),
    watch: () => () => {},
    transact: async <T>(work: (tx: Transaction) => T) => {
      const written: [Key, unknown][] = [];
      const tx = { put: (key: Key, value: unknown) => void written.push([key, value]) };
      const result = work(tx as unknown as Transaction);
      await registry.transact((real) => {
        for (const [key, value] of written) real.put(key, value as never);
      });
      return result;
    },
  });
  const leases = new Leases(eager, ignore);
  await leases.apply([put(lease())]);
  expect(registry.get(['lease', '10.77.0.100'])).toMatchObject({ client: 'mac:a' });
});
