import { expect, test } from 'vitest';
import type { Mode } from '../../imager/tftp/codec.ts';
import { DEFAULT_LIMITS, negotiate } from '../../imager/tftp/options.ts';

function ask(options: Record<string, string>, mode: Mode = 'octet', limits = {}) {
  const request = { type: 'rrq' as const, file: 'f', mode, options: new Map(Object.entries(options)) };
  const result = negotiate(request, 13_631_488, { ...DEFAULT_LIMITS, ...limits });
  if ('refused' in result) return result;
  return { ...result, reply: Object.fromEntries(result.reply) };
}

const plain = { blksize: 512, windowsize: 1, timeoutMs: undefined, reply: {} };

test.each([
  ['no options: RFC 1350 as it was', {}, plain],
  ['unknown options are left out of the reply', { multicast: '', rollover: '0' }, plain],
  ['blksize as asked', { blksize: '1468' }, { ...plain, blksize: 1468, reply: { blksize: '1468' } }],
  ['smallest blksize', { blksize: '8' }, { ...plain, blksize: 8, reply: { blksize: '8' } }],
  ['largest blksize', { blksize: '65464' }, { ...plain, blksize: 65464, reply: { blksize: '65464' } }],
  ['a larger blksize is met with the largest', { blksize: '65535' }, { blksize: 65464 }],
  ['blksize below 8 cannot be met', { blksize: '7' }, { refused: 'blksize 7 is below 8' }],
  ['blksize must be a number', { blksize: '1k' }, { refused: 'blksize is not a number' }],
  ['signs are no numbers', { blksize: '-512' }, { refused: 'blksize is not a number' }],
  ['nor are nothing', { windowsize: '' }, { refused: 'windowsize is not a number' }],
  ['nor huge ones', { windowsize: '99999999999' }, { refused: 'windowsize is not a number' }],
  ['windowsize as asked', { windowsize: '16' }, { windowsize: 16, reply: { windowsize: '16' } }],
  ['windowsize at most the limit', { windowsize: '65535' }, { windowsize: 64, reply: { windowsize: '64' } }],
  ['windowsize 0 cannot be met', { windowsize: '0' }, { refused: 'windowsize is below 1' }],
  ['timeout is echoed', { timeout: '5' }, { ...plain, timeoutMs: 5000, reply: { timeout: '5' } }],
  ['timeout 255', { timeout: '255' }, { timeoutMs: 255_000 }],
  ['timeout out of range is left out: it may not be changed', { timeout: '3000' }, plain],
  ['timeout 0 too', { timeout: '0' }, plain],
  ['tsize is the size of the file', { tsize: '0' }, { ...plain, reply: { tsize: '13631488' } }],
])('%s', (_name, options, expected) => {
  expect(ask(options as Record<string, string>)).toMatchObject(expected);
});

test('the reply keeps the order of the request', () => {
  const reply = ask({ windowsize: '4', tsize: '0', blksize: '1024', timeout: '1' });
  expect(Object.keys('reply' in reply ? reply.reply : {})).toEqual([
    'windowsize',
    'tsize',
    'blksize',
    'timeout',
  ]);
});

test('a window is no larger than socket buffers, whichever option comes first', () => {
  expect(ask({ windowsize: '64', blksize: '65464' })).toMatchObject({ windowsize: 2, blksize: 65464 });
  expect(ask({ blksize: '65464', windowsize: '64' })).toMatchObject({ windowsize: 2 });
  expect(ask({ blksize: '1468', windowsize: '64' })).toMatchObject({ windowsize: 64 });
  expect(ask({ blksize: '65464', windowsize: '64' }, 'octet', { maxWindowBytes: 1 })).toMatchObject({
    windowsize: 1,
  });
});

test('in netascii the size is not known beforehand', () => {
  expect(ask({ tsize: '0' }, 'netascii')).toEqual(plain);
});
