/** The order in which those that wait are answered. */
import { expect, test } from 'vitest';
import { Backlog } from '../../imager/dhcp/backlog.ts';
import { request } from './fakes.ts';

const from = (n: number, xid = n) =>
  request('discover', { mac: `52:54:00:00:${Math.floor(n / 256)}:${n % 256}`, xid });
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('in the order they came, some a turn, and nothing while the sockets are read', async () => {
  const answered: number[] = [];
  const backlog = new Backlog(({ xid }) => answered.push(xid));
  for (let n = 0; n < 20; n++) expect(backlog.add(from(n))).toBeUndefined();
  expect(answered).toEqual([]);
  await turn();
  expect(answered).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  await turn();
  await turn();
  expect(answered).toEqual(Array.from({ length: 20 }, (_, n) => n));
});

test('few at a time need not wait, nor anybody as soon as somebody does', async () => {
  const backlog = new Backlog(() => {});
  const passed = Array.from({ length: 10 }, () => backlog.mayPass());
  expect(passed).toEqual([true, true, true, true, true, true, true, true, false, false]);
  await turn();
  expect(backlog.mayPass()).toBe(true);
  backlog.add(from(1));
  expect(backlog.mayPass()).toBe(false);
  await turn();
  expect(backlog.mayPass()).toBe(true);
});

test('who asks again keeps its place and is answered once, to what it asked last', async () => {
  const answered: number[] = [];
  const backlog = new Backlog(({ xid }) => answered.push(xid));
  backlog.add(from(1));
  backlog.add(from(2));
  expect(backlog.add(from(1, 1001))).toBe('asked-again');
  await turn();
  expect(answered).toEqual([1001, 2]);
});

test('it has an end, which those who wait already do not feel', async () => {
  const answered = new Set<string>();
  const backlog = new Backlog(({ mac }) => answered.add(mac));
  const taken = Array.from({ length: 2000 }, (_, n) => backlog.add(from(n)));
  expect(taken.filter((fault) => fault === undefined)).toHaveLength(1024);
  expect(backlog.add(from(3, 7))).toBe('asked-again');
  expect(backlog.add(from(1999))).toBe('overload');
  while (answered.size < 1024) await turn();
  expect(backlog.add(from(1999))).toBeUndefined();
});
