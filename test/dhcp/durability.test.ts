/** Servers killed at their worst moment, and started again on the same registry. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { LeaseView } from '../../imager/dhcp/lease.ts';
import { LmdbRegistry } from '../../imager/registry/lmdb.ts';
import { Crowd, macOf } from './crowd.ts';
import { Lab } from './lab.ts';
import { startLoopbackServer } from './loopback-server.ts';

let lab: Lab;
let directory: string;

beforeEach(async () => {
  lab = await Lab.open();
  directory = mkdtempSync(join(tmpdir(), 'dhcp-registry-'));
});
afterEach(async () => {
  await lab.close();
  rmSync(directory, { recursive: true });
});

test('SIGKILL right after an ACK: the lease is there, and its client keeps the address', async () => {
  const settings = { pool: { from: '10.77.0.100', to: '10.77.0.199' }, directory };
  const mac = '52:54:00:77:00:51';
  const client = await lab.client(mac);
  const once = 'busybox udhcpc -i eth0 -n -q -f -t 5 -T 1 -s /bin/true';

  const first = await lab.serve(settings);
  const bound = client.run(once);
  const ack = await first.event((event) => event.step === 'ack');
  await first.stop('SIGKILL');
  expect(await bound).toContain(`lease of ${ack.address} obtained`);

  const second = await lab.serve(settings);
  const leases = JSON.parse(second.ready.slice(second.ready.indexOf('['))) as LeaseView[];
  expect(leases).toMatchObject([{ address: ack.address, mac, active: true }]);
  expect(await client.run(once)).toContain(`lease of ${ack.address} obtained`);
  await second.stop('SIGTERM');
  expect(second.output()).toMatch(/^stats \{.*"sent.ack":1/m);
});

test('SIGKILL amid many: every lease whose ACK had left is there', async () => {
  const promised = new Map<string, string>();
  for (const [round, enough] of [3, 60, 150].entries()) {
    const server = await startLoopbackServer(directory);
    onTestFinished(server.kill);
    const crowd = await Crowd.open(server.port);
    crowd.start(Array.from({ length: 200 }, (_, n) => macOf(round + 1, n)));
    await crowd.served(enough);
    await server.kill();
    await crowd.drain();
    crowd.close();
    for (const [mac, address] of crowd.acks) promised.set(mac, address);

    const registry = await LmdbRegistry.open(directory);
    const stored = new Map(
      registry.range<LeaseView>(['lease']).map(({ value }) => [value.mac, value.address]),
    );
    await registry.close();
    expect([...promised].filter(([mac, address]) => stored.get(mac) !== address)).toEqual([]);
  }
  expect(promised.size).toBeGreaterThanOrEqual(3 + 60 + 150);
}, 60_000);
