/** Recorder and journal together: who is found under which name, and what a flood of strangers costs. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { BootEvent } from '../../imager/journal/event.ts';
import { Journal } from '../../imager/journal/journal.ts';
import { Recorder } from '../../imager/journal/recorder.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';

const NODE = '52:54:00:00:00:01';
const STRANGER = '66:66:66:66:66:66';
const names = new NodeIndex([{ name: 'node1', hostname: 'node1', mac: NODE, address: '10.0.0.11' }]);
const log = pino({ level: 'silent' });

let dir: string;
let journal: Journal;
let recorder: Recorder;
function open(): void {
  journal = new Journal({ dir, log, limits: { fileBytes: 200_000, strangerRate: 100 } });
  recorder = new Recorder({ names, log, journal });
}
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recorder-'));
  open();
});
afterEach(async () => {
  await journal.close();
  rmSync(dir, { recursive: true, force: true });
});

const dhcp = (at: number, mac: string, step: string, address?: string): BootEvent => ({
  at,
  component: 'dhcp',
  step,
  mac,
  ...(address === undefined ? {} : { address }),
  ...(step === 'ack' ? { detail: { seconds: 600 } } : {}),
});
const tftp = (at: number, address: string): BootEvent => ({
  at,
  component: 'tftp',
  step: 'transfer-start',
  address,
});
const historyOf = async (name: string) => (await recorder.history(recorder.whom(name)!)).map(({ at }) => at);

test('a node is found by name, MAC and address; a restart forgets nothing', async () => {
  recorder.sink(dhcp(1, NODE, 'discover'));
  recorder.sink(tftp(2, '10.0.0.11'));
  recorder.sink(dhcp(3, STRANGER, 'discover'));
  await journal.close();
  open();
  recorder.sink(tftp(4, '10.0.0.11'));
  for (const name of ['node1', NODE, NODE.toUpperCase().replaceAll(':', '-'), '10.0.0.11'])
    expect(await historyOf(name)).toEqual([1, 2, 4]);
});

test('a stranger is found by its MAC, with what came from the address it was given', async () => {
  recorder.sink(dhcp(1, STRANGER, 'discover', '10.0.0.99'));
  recorder.sink(dhcp(2, STRANGER, 'ack', '10.0.0.99'));
  recorder.sink(tftp(3, '10.0.0.99'));
  recorder.sink(tftp(4, '10.0.0.98'));
  expect(await historyOf(STRANGER)).toEqual([1, 2, 3]);
  expect(await historyOf('10.0.0.99')).toEqual([1, 2, 3]);
  expect(await historyOf('10.0.0.98')).toEqual([4]);
  expect(recorder.whom('nobody')).toBeUndefined();
});

test('beside another DHCP server an address is whose it was asked for there', async () => {
  recorder.sink({ ...dhcp(1, NODE, 'request', '10.0.0.77'), reason: 'other-server', node: 'node1' });
  recorder.sink(tftp(2, '10.0.0.77'));
  recorder.sink({ ...dhcp(3, STRANGER, 'request', '10.0.0.11'), reason: 'other-server' });
  recorder.sink(tftp(4, '10.0.0.11'));
  expect(await historyOf('node1')).toEqual([1, 2, 4]);
});

test('a flood of strangers costs little, and no node its history', async () => {
  recorder.sink(dhcp(1, NODE, 'discover'));
  for (let i = 0; i < 50_000; i++) {
    const mac = `02:00:00:${[i >> 16, (i >> 8) & 255, i & 255].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
    recorder.sink(dhcp(2 + i / 10, mac, 'discover'));
  }
  expect(await historyOf('node1')).toEqual([1]);
  const { 'dropped.stranger-flood': dropped = 0 } = journal.stats();
  // 5 seconds of 100 a second, and 200 at once.
  expect(50_000 - dropped).toBeGreaterThan(600);
  expect(50_000 - dropped).toBeLessThan(800);
  await journal.close();
  const size = readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
  expect(size).toBeLessThan(200_000);
  open();
});

test('watchers hear what comes until they leave', () => {
  const heard: number[] = [];
  const leave = recorder.watch(({ at }) => heard.push(at));
  recorder.sink(dhcp(1, NODE, 'discover'));
  leave();
  recorder.sink(dhcp(2, NODE, 'discover'));
  expect(heard).toEqual([1]);
});

test('a script asked for by MAC tells whose address it is, where no DHCP event did', async () => {
  const http = (at: number, address: string, file: string): BootEvent => ({
    ...{ at, component: 'http', step: 'transfer-start', address },
    detail: { file },
  });
  recorder.sink(http(1, '10.0.0.77', '52-54-00-00-00-01/boot.ipxe'));
  recorder.sink(http(2, '10.0.0.77', 'images/a/kernel'));
  recorder.sink(http(3, '10.0.0.78', '66-66-66-66-66-66/boot.ipxe'));
  expect(await historyOf('node1')).toEqual([1, 2]);
  expect(await historyOf('10.0.0.78')).toEqual([3]);
  // Whose address it is by reservation or by a lease is known better than by a name that anybody can ask for.
  recorder.sink(dhcp(4, STRANGER, 'ack', '10.0.0.99'));
  recorder.sink(http(5, '10.0.0.99', '52-54-00-00-00-01/boot.ipxe'));
  expect(await historyOf('node1')).toEqual([1, 2]);
  // Nor does a claim take away what DHCP told.
  recorder.sink({ ...dhcp(6, NODE, 'ack', '10.0.0.80'), node: 'node1' });
  recorder.sink(http(7, '10.0.0.66', '52-54-00-00-00-01/boot.ipxe'));
  recorder.sink(http(8, '10.0.0.80', 'images/a/kernel'));
  expect(await historyOf('node1')).toEqual([1, 2, 6, 7, 8]);
});
