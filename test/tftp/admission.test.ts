import { expect, test } from 'vitest';
import { type ActiveTransfer, admit } from '../../imager/tftp/admission.ts';

const limits = { maxTransfers: 4, maxPerClient: 2 };
const moving = (key: string): ActiveTransfer => ({ key, retries: 0, progressAt: 1000 });
const silent = (key: string, progressAt: number): ActiveTransfer => ({ key, retries: 2, progressAt });

test('room for everybody', () => {
  expect(admit({ total: 2, own: [moving('1')], unproven: [] }, limits)).toEqual({ type: 'admit' });
});

test('a client at its limit, all of it moving', () => {
  const own = [moving('1'), moving('2')];
  expect(admit({ total: 2, own, unproven: own }, limits)).toEqual({
    type: 'refuse',
    reason: 'too-many-per-client',
  });
});

test('a client at its limit loses its most silent transfer', () => {
  const own = [silent('1', 30), silent('2', 20)];
  expect(admit({ total: 3, own, unproven: [] }, limits)).toEqual({ type: 'replace', key: '2' });
});

test('a full server keeps the silent transfers of clients that have answered', () => {
  expect(admit({ total: 4, own: [], unproven: [] }, limits)).toEqual({
    type: 'refuse',
    reason: 'too-many-transfers',
  });
});

test('a full server keeps those that were asked for just now', () => {
  expect(admit({ total: 4, own: [], unproven: [moving('1')] }, limits)).toMatchObject({ type: 'refuse' });
});

test('a full server gives up the oldest that never answered, and looks no further', () => {
  const unproven = (function* () {
    yield moving('1');
    yield silent('2', 10);
    throw new Error('looked further');
  })();
  expect(admit({ total: 4, own: [], unproven }, limits)).toEqual({ type: 'replace', key: '2' });
});
