import { expect, test } from 'vitest';
import { type ActiveTransfer, admit } from '../../imager/tftp/admission.ts';

const limits = { maxTransfers: 4, maxPerClient: 2 };
const moving = (key: string, address: string): ActiveTransfer => ({
  key,
  address,
  retries: 0,
  proven: true,
  progressAt: 1000,
});
const silent = (key: string, address: string, progressAt: number, proven = true): ActiveTransfer => ({
  ...{ key, address, progressAt, proven },
  retries: 2,
});

test('room for everybody', () => {
  expect(admit('a', [moving('1', 'a'), moving('2', 'b')], limits)).toEqual({ type: 'admit' });
});

test('a client at its limit, all of it moving', () => {
  expect(admit('a', [moving('1', 'a'), moving('2', 'a')], limits)).toEqual({
    type: 'refuse',
    reason: 'too-many-per-client',
  });
});

test('a client at its limit loses its most silent transfer', () => {
  const active = [silent('1', 'a', 30), silent('2', 'a', 20), silent('3', 'b', 10)];
  expect(admit('a', active, limits)).toEqual({ type: 'replace', key: '2' });
});

test('a full server keeps the silent transfers of clients that have answered', () => {
  const active = [moving('1', 'b'), moving('2', 'c'), silent('3', 'd', 10), silent('4', 'e', 5)];
  expect(admit('a', active, limits)).toEqual({ type: 'refuse', reason: 'too-many-transfers' });
});

test('a full server gives up one that never answered', () => {
  const active = [moving('1', 'b'), moving('2', 'c'), silent('3', 'd', 5), silent('4', 'e', 10, false)];
  expect(admit('a', active, limits)).toEqual({ type: 'replace', key: '4' });
});
