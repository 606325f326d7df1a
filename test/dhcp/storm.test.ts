/** More clients at once than a server has seen, invented ones among them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeMessage } from '../../imager/dhcp/codec.ts';
import { Crowd, macOf } from './crowd.ts';
import { request } from './fakes.ts';
import { type LoopbackServer, startLoopbackServer } from './loopback-server.ts';

/** The node with a reservation. */
const NODE = macOf(0, 0);
const MIB = 2 ** 20;

let folder: string;
let server: LoopbackServer;
let crowd: Crowd;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'dhcp-storm-'));
  server = await startLoopbackServer(folder);
  crowd = await Crowd.open(server.port);
});
afterEach(async () => {
  crowd.close();
  await server.kill();
  rmSync(folder, { recursive: true });
});

test('a rack of 600 powered on at once: each has an address of its own', async () => {
  crowd.start(Array.from({ length: 600 }, (_, n) => macOf(1, n)));
  await crowd.served(600);
  expect(new Set(crowd.acks.values()).size).toBe(600);
  const stats = await server.stop();
  expect(stats['sent.nak']).toBeUndefined();
  expect(stats.rss).toBeLessThan(300 * MIB);
}, 180_000);

test('ten thousand invented clients a second, ten times the pool: node and strangers are served meanwhile', async () => {
  let invented = 0;
  let over = false;
  const flood = async () => {
    // What is behind is not made up for: a machine that cannot send as many is flooded all the same.
    for (; !over; await setTimeout(10))
      for (let i = 0; i < 100; i++)
        crowd.send(
          encodeMessage(request('discover', { giaddr: '127.0.0.2', mac: macOf(2, invented++) })).bytes,
        );
  };
  const flooding = flood();
  while (invented < 3000) await setTimeout(10);
  crowd.start([NODE, ...Array.from({ length: 20 }, (_, n) => macOf(3, n))]);
  await crowd.served(21);
  over = true;
  await flooding;
  expect(crowd.acks.get(NODE)).toBe('127.0.0.50');
  expect(new Set(crowd.acks.values()).size).toBe(21);
  const stats = await server.stop();
  // More were offered an address than there are: offers were withdrawn.
  expect(stats['sent.offer']).toBeGreaterThan(1000);
  expect(stats.rss).toBeLessThan(300 * MIB);
}, 180_000);
