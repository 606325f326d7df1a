/**
 * Many nodes on one base, all attached and at work: what the server takes, beside full copies and qcow2 overlays.
 *
 * BOOTWRIGHT_NODES: how many, 6 where it is not set; of 50 and more each has a disk of 1 GiB, else of 64 MiB.
 */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { Disks } from '../../../imager/disks/catalog.ts';
import { bundle } from '../../support/inside.ts';
import { RawClient } from '../raw-client.ts';
import { daemonFootprint, diskUse, memoryOf, qemuFootprint, useDisk } from './footprint.ts';
import { Victim } from './victim.ts';

const NODES = Number(process.env.BOOTWRIGHT_NODES ?? 6);
const MIB = 2 ** 20;
const [SIZE, DATA] = NODES < 50 ? [64 * MIB, 24 * MIB] : [1024 * MIB, 200 * MIB];
const SAMPLE = 2;

test(`${NODES} nodes on one base`, { timeout: 60_000 + NODES * 10_000 }, async () => {
  const program = await bundle('test/nbd/proofs/server.ts');
  const dir = mkdtempSync(join(tmpdir(), 'nbd-footprint-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const base = join(dir, 'image');
  const file = await open(base, 'w');
  for (let at = 0; at < DATA; at += MIB) await file.write(randomBytes(MIB), 0, MIB, at);
  await file.truncate(SIZE);
  await file.close();
  const state = join(dir, 'state');
  const disks = await Disks.open({ dir: state, log: pino({ level: 'silent' }) });
  await disks.addBase('b', base);
  for (let node = 0; node < NODES; node++) await disks.create(`n${node}`, 'b');
  await disks.close();
  const server = await Victim.start(program, state);
  const idle = memoryOf(server.pid);
  const clients: RawClient[] = [];
  for (let node = 0; node < NODES; node++) {
    // Each from an address of its own, as nodes are.
    const client = await RawClient.attach(server.port, `n${node}`, `127.0.1.${1 + node}`);
    clients.push(client);
    await useDisk(client, SIZE, node);
  }
  const ours = { name: `${NODES} disks of one imager`, disk: diskUse(state), ...memoryOf(server.pid) };
  for (const client of clients) client.socket.destroy();
  await server.stop();
  const many = { nodes: NODES, sample: SAMPLE };
  const qcow2 = await qemuFootprint('qcow2', base, dir, many);
  const daemon = await daemonFootprint(base, dir, NODES);
  const copies = await qemuFootprint('raw', base, dir, many);
  const empty = { name: 'the imager before any node came', disk: diskUse(join(state, 'bases')), ...idle };
  const whole = (value: number): number => Math.round(value * 10) / 10;
  console.table(
    [empty, ours, qcow2, daemon, copies].map(({ name, disk, private: own, resident }) => ({
      '': name,
      'disk MiB': whole(disk),
      'private memory MiB': whole(own),
      'resident MiB': whole(resident),
    })),
  );
  // What a node wrote, a tenth more, the map and the journal's segments; and the base once.
  expect(ours.disk).toBeLessThan(diskUse(join(state, 'bases')) + NODES * (4 * 1.1 + 2));
  expect(ours.disk).toBeLessThan(qcow2.disk);
  expect(ours.disk).toBeLessThan(copies.disk);
});
