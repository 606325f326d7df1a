/** How nodes come back to an imager, alone and ten thousand at once. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { diskRetryDelay, preferredDelay, retryDelay } from '../../agent/core/backoff.ts';
import { seededRandom } from '../../firmware-stubs/rig/scenario/random.ts';

const random = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

/** When a node knocks, in milliseconds since the imager went, up to `until`. */
function knocks(until: number, dice: () => number): number[] {
  const times: number[] = [];
  for (let at = 0; at < until; ) {
    at += retryDelay(at, false, dice());
    times.push(at);
  }
  return times;
}

it('never waits longer than the imager was away, half a minute at most, and never not at all', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e10, noNaN: true }),
      fc.boolean(),
      random,
      (away, refused, dice) => {
        const delay = retryDelay(away, refused, dice);
        expect(delay).toBeGreaterThanOrEqual(10);
        expect(delay).toBeLessThanOrEqual(Math.min(30_000, Math.max(refused ? 2000 : 100, away)));
      },
    ),
  );
});

it('costs a node less than twice an outage, whatever the dice: less than a second for a restart of half a second', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 1, max: 7_200_000, noNaN: true }),
      fc.array(random, { minLength: 1, maxLength: 50 }),
      (outage, dice) => {
        let throws = 0;
        const back = knocks(outage, () => dice[throws++ % dice.length]!).at(-1)!;
        expect(back).toBeGreaterThanOrEqual(outage);
        expect(back).toBeLessThanOrEqual(outage + Math.min(30_000, Math.max(100, outage)));
      },
    ),
  );
});

it('ten thousand nodes knock on an imager that stays away hardly more in one second than in another', () => {
  const dice = seededRandom(6);
  const perSecond = new Array<number>(600).fill(0);
  for (let node = 0; node < 10_000; node++)
    for (const at of knocks(600_000, dice)) if (at < 600_000) perSecond[Math.floor(at / 1000)]!++;
  // Two knocks a node in its half minutes; 667 a second.
  const settled = perSecond.slice(120);
  const mean = settled.reduce((sum, each) => sum + each) / settled.length;
  expect(mean).toBeGreaterThan(600);
  expect(mean).toBeLessThan(730);
  expect(Math.max(...settled)).toBeLessThan(mean * 1.25);
});

it('knocks for a disk as for a welcome, but every five seconds at least', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e10, noNaN: true }), random, (away, dice) => {
      const delay = diskRetryDelay(away, dice);
      if (away <= 5000) expect(delay).toBe(retryDelay(away, false, dice));
      else expect(delay).toBe(retryDelay(5000, false, dice));
    }),
  );
});

it('looks for a preferred imager every half to whole minute', () => {
  fc.assert(
    fc.property(random, (dice) => {
      expect(preferredDelay(dice)).toBeGreaterThanOrEqual(30_000);
      // The largest dice of all, 1 - 2^-53, are rounded to the whole minute.
      expect(preferredDelay(dice)).toBeLessThanOrEqual(60_000);
    }),
    { examples: [[0], [1 - 2 ** -53]] },
  );
});
