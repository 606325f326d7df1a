/** A node that came up with its fallback image: what the imager knows of why, and how it says it. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { Directory } from '../../imager/agents/directory.ts';
import { attemptText, earlierOfFailed } from '../../imager/explain/boots.ts';
import { attemptsOf } from '../../imager/journal/attempts.ts';
import { fallbackWords } from '../../imager/model/fallback.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { hello, POINTER } from './hello.ts';

const DEPLOY: BootPointer = {
  ...{ ...POINTER, image: 'broken', deployment: 'd2', phase: 'deploy' },
  ...{ attempts: 3, fallback: 'base', sequence: 2 },
};

let registry: MemoryRegistry;
let directory: Directory;
beforeEach(async () => {
  registry = new MemoryRegistry();
  directory = new Directory(registry, () => true);
  await directory.join('n', hello(), '10.0.0.1', 1);
});

/** A boot: what the agent read when the firmware had counted it. */
const boot = (id: string, attempts: number, bootedImage = 'broken') =>
  directory.join(
    'n',
    hello({ bootId: id, bootedImage, pointer: { ...DEPLOY, attempts } }),
    '10.0.0.1',
    Number(id),
  );
const fallback = () => directory.get('n')?.fallback;

describe('an image whose attempts are used up', () => {
  it('never said a word: the flash tells how many attempts it had', async () => {
    await directory.pointed('n', { ...DEPLOY, attempts: 5 });
    expect(fallback()).toBeUndefined();
    await boot('5', 0, 'base');
    expect(fallback()).toEqual({ image: 'base', failed: 'broken', deployment: 'd2', attempts: 5, why: null });
    // Once more, after a restart of the imager: still known.
    directory = new Directory(registry, () => true);
    await boot('6', 0, 'base');
    expect(fallback()).toEqual({ image: 'base', failed: 'broken', deployment: 'd2', attempts: 5, why: null });
  });

  it('whose agent came up and gave up: its last words; the flash was made over a serial line', async () => {
    for (const [id, left] of [
      ['2', 2],
      ['3', 1],
      ['4', 0],
    ] as const) {
      await boot(id, left);
      const step = {
        type: 'step',
        seq: 1,
        step: 'retry',
        uptime: 3,
        detail: { why: `no disk ${id}` },
      } as const;
      await directory.step('n', id, step, Number(id));
      expect(fallback()).toBeUndefined();
    }
    await boot('5', 0, 'base');
    expect(fallback()).toEqual({
      image: 'base',
      failed: 'broken',
      deployment: 'd2',
      attempts: 3,
      why: 'no disk 4',
    });
  });

  it('of which nothing was heard before: as many as every writer gives', async () => {
    await boot('5', 0, 'base');
    expect(fallback()).toEqual({ image: 'base', failed: 'broken', deployment: 'd2', attempts: 3, why: null });
  });

  it('words of an older deployment of the same image are not its own', async () => {
    const older = { ...DEPLOY, deployment: 'd0', attempts: 6 };
    await directory.join('n', hello({ bootId: '2', bootedImage: 'broken', pointer: older }), '10.0.0.1', 2);
    const step = { type: 'step', seq: 1, step: 'failed', uptime: 3, detail: { why: 'then' } } as const;
    await directory.step('n', '2', step, 2);
    await boot('5', 0, 'base');
    expect(fallback()).toEqual({ image: 'base', failed: 'broken', deployment: 'd2', attempts: 3, why: null });
  });

  it('was flashed once more, and failed otherwise: neither the fallback nor the words of the flash before', async () => {
    const older = { ...DEPLOY, deployment: 'd1' };
    const olderBoot = (bootId: string, bootedImage: string, attempts: number) =>
      directory.join('n', hello({ bootId, bootedImage, pointer: { ...older, attempts } }), '10.0.0.1', 2);
    await directory.pointed('n', older);
    await olderBoot('2', 'broken', 0);
    const step = { type: 'step', seq: 1, step: 'failed', uptime: 3, detail: { why: 'then' } } as const;
    await directory.step('n', '2', step, 2);
    // Flashed while that boot stays up to be looked at: no other image is booted between.
    await directory.pointed('n', { ...DEPLOY, attempts: 5 });
    await boot('3', 0, 'base');
    expect(fallback()).toEqual({ image: 'base', failed: 'broken', deployment: 'd2', attempts: 5, why: null });
    // Flashed while on the fallback image.
    await directory.pointed('n', { ...DEPLOY, deployment: 'd3', attempts: 1 });
    const third = { ...DEPLOY, deployment: 'd3', attempts: 0 };
    await directory.join('n', hello({ bootId: '4', bootedImage: 'base', pointer: third }), '10.0.0.1', 4);
    expect(fallback()).toEqual({ image: 'base', failed: 'broken', deployment: 'd3', attempts: 1, why: null });
  });
});

it('an image that boots, a ready one, and firmware that counts nothing are no fallback', async () => {
  await directory.pointed('n', DEPLOY);
  await boot('2', 0);
  expect(fallback()).toBeUndefined();
  await boot('3', 3, 'base');
  expect(fallback()).toBeUndefined();
  await directory.join('n', hello({ bootId: '4', bootedImage: 'other' }), '10.0.0.1', 4);
  expect(fallback()).toBeUndefined();
});

it('in words', () => {
  const known = { image: 'base', failed: 'broken', attempts: 3, why: 'no disk' };
  expect(fallbackWords(known)).toBe(
    'the fallback image base, since broken was not ready after 3 attempts: no disk',
  );
  expect(fallbackWords({ ...known, attempts: 1, why: null })).toBe(
    'the fallback image base, since broken was not ready after 1 attempt: its agent was never heard of, ' +
      'so look at the console of its kernel',
  );
  const events = [
    { id: 1, at: 1000, component: 'agent' as const, step: 'hello' },
    {
      id: 2,
      at: 1000,
      component: 'agent' as const,
      step: 'fallback',
      reason: 'no-attempts-left',
      detail: known,
    },
    { id: 3, at: 3000, component: 'agent' as const, step: 'ready' },
  ];
  const [attempt] = attemptsOf(events, 4000);
  const { outcome, rows } = attemptText(attempt!, { who: 'n', imager: '10.0.0.1' });
  expect(outcome).toBe(`ready after 2.0 s, with ${fallbackWords(known)}`);
  expect(rows[1]!.what).toBe('fallback (no-attempts-left) image=base failed=broken attempts=3 why=no disk');
});

it('attempts of the failed image that are further back than those shown are counted', () => {
  const event = (at: number, component: 'agent' | 'tftp', step: string, detail = {}) => ({
    ...{ id: at, at, component, step, detail },
  });
  const minute = 60_000;
  const attempts = [
    [event(minute, 'tftp', 'read', { file: 'images/other/manifest.env' })],
    [event(10 * minute, 'tftp', 'read', { file: 'images/broken/manifest.env' })],
    [event(20 * minute, 'agent', 'hello', { bootedImage: 'broken' })],
    [event(30 * minute, 'agent', 'hello', { bootedImage: 'broken' })],
    [
      event(40 * minute, 'agent', 'hello', { bootedImage: 'base' }),
      event(40 * minute + 1, 'agent', 'fallback', { image: 'base', failed: 'broken', attempts: 3 }),
    ],
  ].flatMap((events) => attemptsOf(events, 41 * minute));
  expect(earlierOfFailed(attempts.slice(-2), attempts)).toEqual({ failed: 'broken', count: 2 });
  expect(earlierOfFailed(attempts.slice(0, 2), attempts)).toBeUndefined();
});
