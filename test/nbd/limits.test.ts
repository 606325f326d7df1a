/** What a client may cost the others: places, memory, time, the journal. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import { Disks } from '../../imager/disks/catalog.ts';
import type { BootEvent } from '../../imager/journal/event.ts';
import { NbdServer, type NbdServerOptions } from '../../imager/nbd/server.ts';
import { endsWithTest } from '../support/ends-with-test.ts';
import { eventually } from '../support/eventually.ts';
import { bundle } from '../support/inside.ts';
import { MemoryCatalog, MemoryDisk } from './memory-catalog.ts';
import {
  CACHE,
  CLIENT_FLAGS,
  contextRequest,
  FLUSH,
  infoRequest,
  option,
  RawClient,
  READ,
  request,
  WRITE,
} from './raw-client.ts';

const MIB = 2 ** 20;
let server: NbdServer | undefined;
let events: BootEvent[];

async function start(options: Partial<NbdServerOptions>, ...disks: MemoryDisk[]): Promise<NbdServer> {
  events = [];
  server = await NbdServer.start({
    ...{ address: '127.0.0.1', port: 0, catalog: new MemoryCatalog(disks) },
    ...{ sink: (event) => events.push(event), clock: { now: () => 0 }, log: pino({ level: 'silent' }) },
    ...options,
  });
  return server;
}

afterEach(async () => {
  await server?.close();
  server = undefined;
});

test('where all places are taken, the newcomer has that of the one that is the longest without an export', async () => {
  const { port } = await start(
    { maxConnections: 3 },
    new MemoryDisk('n1', MIB),
    new MemoryDisk('b', MIB, true),
  );
  const node = await RawClient.attach(port, 'n1');
  const idle = [await RawClient.open(port, '127.0.1.1'), await RawClient.open(port, '127.0.1.2')];
  for (const client of idle) await client.take(18);
  const third = await RawClient.attach(port, 'b', '127.0.1.3');
  await idle[0]!.ended;
  const fourth = await RawClient.attach(port, 'b', '127.0.1.4');
  await idle[1]!.ended;
  // Nobody is left who could be sent away.
  const fifth = await RawClient.open(port, '127.0.1.5');
  await fifth.ended;
  expect(server!.stats()).toMatchObject({ 'dropped.crowded': 2, 'refused.full': 1 });
  for (const client of [node, third, fourth]) {
    client.send(request({ type: READ, length: 1 }));
    expect((await client.reply(1)).error).toBe(0);
  }
});

test('refusals of one address are told to the journal once in a while, not each', async () => {
  const { port } = await start({ maxConnectionsPerAddress: 1 });
  await RawClient.open(port, '127.0.1.1').then((client) => client.take(18));
  await Promise.all(
    Array.from({ length: 20 }, () => RawClient.open(port, '127.0.1.1').then(({ ended }) => ended)),
  );
  expect(server!.stats()['refused.address-full']).toBe(20);
  expect(events).toHaveLength(1);
  await RawClient.open(port, '127.0.1.2').then((client) => client.take(18));
  await RawClient.open(port, '127.0.1.2').then(({ ended }) => ended);
  expect(events).toHaveLength(2);
});

test('nor is each name that a client makes up', async () => {
  const { port } = await start({}, new MemoryDisk('n1', MIB));
  const client = await RawClient.open(port);
  await client.take(18);
  client.send(CLIENT_FLAGS);
  for (let n = 0; n < 100; n++) {
    client.send(option(7, infoRequest(`no${n}`)));
    await client.optionReplies();
  }
  expect(server!.stats()['refused.unknown']).toBe(100);
  expect(events).toMatchObject([{ step: 'refused', reason: 'unknown', detail: { export: 'no0' } }]);
});

test('answers that a client does not take in its handshake are not heaped up', async () => {
  const names = Array.from({ length: 1000 }, (_, n) => `${'n'.repeat(60)}${n}`);
  const catalog = new MemoryCatalog([]);
  let lists = 0;
  catalog.list = () => {
    lists++;
    return names;
  };
  const { port } = await start({ catalog, handshakeTimeoutMs: 8000 });
  const ask = async (): Promise<RawClient> => {
    const client = await RawClient.open(port);
    await client.take(18);
    client.socket.pause();
    client.send(CLIENT_FLAGS, ...Array.from({ length: 500 }, () => option(3)));
    return client;
  };
  const [taking, waiting, leaving] = [await ask(), await ask(), await ask()];
  await setTimeout(300);
  // What the system holds of a connection is some MiB.
  expect(lists * names.length * 80).toBeLessThan(3 * 16 * MIB);
  taking.socket.resume();
  const answer = names.reduce((sum, name) => sum + 24 + name.length, 20);
  expect((await taking.take(500 * answer)).readUInt32BE(500 * answer - 8)).toBe(1);
  leaving.socket.resetAndDestroy();
  await eventually(() => expect(server!.connections()).toEqual([]));
  waiting.socket.destroy();
});

test('whoever goes on with his handshake has time for each option, but a place not for good', async () => {
  const { port } = await start({ handshakeTimeoutMs: 400 });
  const client = await RawClient.open(port);
  await client.take(18);
  client.send(CLIENT_FLAGS);
  const begun = performance.now();
  // A part of an option is none.
  const halting = await RawClient.open(port);
  halting.send(CLIENT_FLAGS, option(3).subarray(0, 9));
  const goOn = async (): Promise<void> => {
    for (;;) {
      await setTimeout(50);
      client.send(option(3));
      await client.optionReplies();
    }
  };
  const over = expect(goOn()).rejects.toThrow('stream ended');
  await halting.ended;
  await eventually(() => expect(server!.connections()).toHaveLength(1));
  await over;
  expect(performance.now() - begun).toBeGreaterThan(3900);
  expect(server!.stats()['dropped.timeout']).toBe(2);
});

test('a thousand exports may be asked about in one handshake, as nbdinfo --list does', async () => {
  const { port } = await start({}, new MemoryDisk('n1', MIB));
  const client = await RawClient.open(port);
  await client.take(18);
  client.send(CLIENT_FLAGS, option(8), option(3));
  for (let n = 0; n < 2; n++) await client.optionReplies();
  const each = [
    option(10, contextRequest('n1', ['base:allocation'])),
    option(6, infoRequest('n1')),
    option(9, contextRequest('n1', [])),
  ];
  for (let n = 0; n < 1000; n++) {
    client.send(...each);
    for (const _ of each) expect((await client.optionReplies()).at(-1)!.type).toBe(1);
  }
});

test('half a request, and then nothing: dropped, and its disk is free', async () => {
  const n1 = new MemoryDisk('n1', MIB);
  const { port } = await start({ stallTimeoutMs: 60 }, n1);
  for (const half of [
    request({ type: WRITE, length: 1000 }),
    request({ type: READ, length: 1 }).subarray(0, 9),
  ]) {
    const client = await RawClient.attach(port, 'n1');
    client.send(half);
    await client.ended;
  }
  expect(server!.stats()['detached.stalled']).toBe(2);
  expect(n1.journal.at(-1)).toBe('close');
});

test('clients that take no replies use up the memory of all, and are dropped for it; others are served', async () => {
  const base = new MemoryDisk('b', 4 * MIB, true);
  const { port } = await start({ maxPendingBytes: 16 * MIB }, base);
  const greedy = await Promise.all(Array.from({ length: 12 }, () => RawClient.attach(port, 'b')));
  for (const client of greedy) {
    client.socket.pause();
    for (let i = 0; i < 8; i++) client.send(request({ type: READ, length: 4 * MIB }));
  }
  const honest = await RawClient.attach(port, 'b', '127.0.1.1');
  for (let cookie = 0; cookie < 20; cookie++) {
    honest.send(request({ type: READ, length: 4 * MIB, cookie }));
    expect((await honest.reply(4 * MIB)).cookie).toBe(cookie);
  }
  expect(base.mostBytes).toBeLessThanOrEqual(16 * MIB);
  expect(server!.stats()['detached.crowded']).toBeGreaterThan(0);
  for (const client of greedy) client.socket.destroy();
});

test('long writes wait for the memory of all, also where none of them is done; those that leave give it back', async () => {
  const n1 = new MemoryDisk('n1', 64 * MIB);
  const { port, budget, pool } = await start({ maxPendingBytes: 16 * MIB }, n1);
  const taken = vi.spyOn(pool, 'take');
  const clients: RawClient[] = [];
  for (let n = 0; n < 8; n++) clients.push(await RawClient.attach(port, 'n1'));
  const payload = Buffer.alloc(8 * MIB, 'payload!');
  for (const [n, client] of clients.entries())
    client.send(request({ type: WRITE, offset: n * 8 * MIB, length: 8 * MIB }), payload.subarray(0, 7 * MIB));
  await eventually(() => expect(taken.mock.calls.length).toBeGreaterThan(1));
  await setTimeout(200);
  const most = taken.mock.calls.length;
  // Of those that wait and of those that do not.
  for (const client of [clients[0]!, clients[7]!]) client.socket.destroy();
  for (const client of clients.slice(1, 7)) client.send(payload.subarray(7 * MIB), request({ type: FLUSH }));
  for (const client of clients.slice(1, 7))
    expect([(await client.reply()).error, (await client.reply()).error]).toEqual([0, 0]);
  expect(most).toBe(2);
  for (let n = 1; n < 7; n++)
    expect(n1.content.subarray(n * 8 * MIB, (n + 1) * 8 * MIB).equals(payload)).toBe(true);
  await eventually(() => expect(server!.connections()).toHaveLength(6));
  const all = vi.fn();
  budget.take(16 * MIB, all);
  expect(all).toHaveBeenCalled();
  budget.give(16 * MIB);
});

test('a comeback takes over from long writes that wait, which are never carried out', async () => {
  const n1 = new MemoryDisk('n1', 64 * MIB);
  const { port, budget } = await start({ maxPendingBytes: 16 * MIB }, n1);
  const earlier: RawClient[] = [];
  for (let n = 0; n < 4; n++) earlier.push(await RawClient.attach(port, 'n1'));
  for (const client of earlier) client.send(request({ type: WRITE, length: 8 * MIB }), Buffer.alloc(MIB, 1));
  await eventually(() => expect(server!.connections().every(({ inFlight }) => inFlight === 1)).toBe(true));
  expect(budget.exhausted).toBe(true);
  const again = await RawClient.attach(port, 'n1');
  const payload = Buffer.alloc(8 * MIB, 2);
  again.send(request({ type: WRITE, payload }));
  expect((await again.reply()).error).toBe(0);
  await eventually(() => expect(server!.connections()).toHaveLength(1));
  expect([n1.writes, budget.exhausted, n1.content.subarray(0, 8 * MIB).equals(payload)]).toEqual([
    1,
    false,
    true,
  ]);
  for (const client of earlier) client.socket.destroy();
});

test('what clients have read ahead is in the memory of all, and ends with them', async () => {
  const base = new MemoryDisk('b', 4 * MIB, true);
  base.content.fill(1);
  let goOn = (): void => {};
  base.gates.read = new Promise((resolve) => {
    goOn = resolve;
  });
  const { port, budget } = await start({ maxPendingBytes: 2 * MIB }, base);
  const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.attach(port, 'b')));
  for (const client of clients) client.send(request({ type: CACHE, length: 4 * MIB }));
  await eventually(() => expect(server!.connections().every(({ inFlight }) => inFlight === 1)).toBe(true));
  const [staying, ...leaving] = clients;
  for (const client of leaving) client.socket.destroy();
  goOn();
  expect((await staying!.reply()).error).toBe(0);
  await eventually(() => expect(server!.connections()).toHaveLength(1));
  expect([base.mostBytes, budget.exhausted]).toEqual([2 * MIB, false]);
});

test('ten thousand connections that are idle, break off or read nothing, beside a client that works', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'nbd-limits-'));
  const disks = await Disks.open({ dir, log: pino({ level: 'silent' }) });
  writeFileSync(join(dir, 'image'), Buffer.alloc(8 * MIB, 'image'));
  await disks.addBase('b', join(dir, 'image'));
  await disks.create('n1', 'b');
  await disks.close();
  const programs = await Promise.all([bundle('test/nbd/serve.ts'), bundle('test/nbd/storm.ts')]);
  const serving = run(programs[0], dir);
  const [, port] = (await serving.line(/^ready .*/m)).split(' ');
  const client = await RawClient.attach(Number(port), 'n1');
  const measure = async (goesOn: () => boolean): Promise<number[]> => {
    const took: number[] = [];
    for (let at = 0; goesOn() || took.length < 100; at = (at + 4096) % (8 * MIB)) {
      const begun = performance.now();
      client.send(request({ type: READ, offset: at, length: 4096 }));
      expect((await client.reply(4096)).error).toBe(0);
      took.push(performance.now() - begun);
      await setTimeout(1);
    }
    return took;
  };
  const quiet = await measure(() => false);
  let over = false;
  const storm = run(programs[1], port!, '10000');
  const ended = storm.line(/^done .*/m).then((line) => {
    over = true;
    return line;
  });
  const busy = await measure(() => !over);
  console.log(`${await ended}; reads of 4 KiB meanwhile: ${figures(busy)}; alone: ${figures(quiet)}`);
  const again = await RawClient.attach(Number(port), 'base:b');
  again.send(request({ type: READ, length: 5 }));
  expect((await again.reply(5)).data.toString()).toBe('image');
  storm.child.kill('SIGKILL');
  serving.child.kill('SIGTERM');
  const closed = await serving.line(/^closed .*/m);
  expect(closed).toContain('"dropped.crowded":');
  console.log(closed);
  rmSync(dir, { recursive: true });
}, 120_000);

function figures(took: number[]): string {
  const sorted = took.toSorted((a, b) => a - b);
  const at = (share: number): string => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(2);
  return `${took.length}, median ${at(0.5)} ms, 99 % ${at(0.99)} ms, longest ${at(1)} ms`;
}

function run(
  program: string,
  ...args: string[]
): { child: ChildProcess; line(what: RegExp): Promise<string> } {
  const child = endsWithTest(
    spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  let said = '';
  let heard = (): void => {};
  child.stdout!.on('data', (chunk) => {
    said += chunk;
    heard();
  });
  child.stdout!.once('close', () => heard());
  return {
    child,
    async line(what) {
      for (;;) {
        const found = what.exec(said);
        if (found !== null) return found[0];
        if (child.stdout!.closed) throw new Error(`${program} ended without ${what}:\n${said}`);
        await new Promise<void>((resolve) => {
          heard = resolve;
        });
      }
    },
  };
}
