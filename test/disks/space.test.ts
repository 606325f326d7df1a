/** The free places of a file against plain sets. */
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { Bits } from '../../imager/disks/bits.ts';
import type { PlaceRun } from '../../imager/disks/format.ts';
import { Space } from '../../imager/disks/space.ts';

const placesOf = (runs: readonly PlaceRun[]): number[] =>
  runs.flatMap(({ place, count }) => Array.from({ length: count }, (_, i) => place + i));

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('take' as const), count: fc.integer({ min: 1, max: 40 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('run' as const), count: fc.integer({ min: 1, max: 40 }) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('release' as const, 'retire' as const),
      which: fc.nat(),
      count: fc.integer({ min: 1, max: 30 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'written' as const,
        'sync' as const,
        'synced' as const,
        'checkpoint' as const,
        'keep' as const,
        'scan' as const,
        'shrink' as const,
      ),
    }),
  },
);

test('a place is used by one at a time, and free only after what replaced it is durable', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const space = new Space(10);
      // Places 2 to 9 are a generation's.
      for (let place = 2; place < 10; place++) space.mark(place, true);
      space.endScan();
      /** What the map names, oldest first; what a generation alone names; what waits to be free. */
      let used: number[] = [];
      const kept = new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      const fresh = new Set<number>();
      let released: number[] = [];
      let retired: number[] = [];
      /** What was taken since the last sync began; what waits for the next one, and for the one under way. */
      const young = new Set<number>();
      const [waiting, syncing]: [PlaceRun[], PlaceRun[]] = [[], []];
      const written = (): void => {
        const runs = space.takeReleased();
        expect(placesOf(runs).sort()).toEqual([...released].sort());
        const old = space.replaced(runs);
        expect(placesOf(old).sort()).toEqual(released.filter((place) => !young.has(place)).sort());
        waiting.push(...old);
        released = [];
      };
      const sync = (): void => {
        written();
        space.syncBegins();
        young.clear();
        syncing.push(...waiting.splice(0));
      };
      const synced = (): void => space.freed(syncing.splice(0));
      for (const one of steps) {
        if (one.do === 'take' || one.do === 'run') {
          const runs = one.do === 'take' ? space.take(one.count) : [space.takeRun(one.count)];
          const places = placesOf(runs);
          expect(places).toHaveLength(one.count);
          const waits = placesOf([...waiting, ...syncing]);
          const others = new Set([...used, ...kept, ...released, ...retired, ...waits]);
          for (const place of places) {
            expect(others.has(place)).toBe(false);
            expect(place).toBeLessThan(space.end);
            fresh.add(place);
            young.add(place);
          }
          expect(new Set(places).size).toBe(one.count);
          used.push(...places);
        } else if (one.do === 'release' || one.do === 'retire') {
          for (let i = 0; i < one.count && used.length > 0; i++) {
            const [place] = used.splice(one.which % used.length, 1);
            if (one.do === 'release') space.release(place!);
            else space.retirePage(place!);
            if (!fresh.has(place!)) kept.add(place!);
            else if (one.do === 'release') released.push(place!);
            else retired.push(place!);
          }
        } else if (one.do === 'written') written();
        else if (one.do === 'sync') sync();
        else if (one.do === 'synced') synced();
        else if (one.do === 'checkpoint') {
          const runs = space.takeRetired();
          expect(placesOf(runs).sort()).toEqual([...retired].sort());
          space.freed(runs);
          retired = [];
        } else if (one.do === 'keep') {
          space.keepAll([]);
          fresh.clear();
        } else if (one.do === 'scan') {
          // Only what is named is marked, as after a crash; what was retired still is by the last checkpoint.
          synced();
          sync();
          synced();
          space.beginScan();
          const taken = placesOf(space.take(3));
          for (const place of taken) {
            fresh.add(place);
            young.add(place);
          }
          for (const place of kept) space.mark(place, true);
          const stale = used.filter((place) => !fresh.has(place));
          for (const place of stale) space.mark(place, true);
          for (const place of [...used, ...retired]) space.mark(place, false);
          used.push(...taken);
          space.endScan();
        } else {
          const end = space.shrink();
          const waits = placesOf([...waiting, ...syncing]);
          expect(Math.max(...used, ...kept, ...released, ...retired, ...waits) + 1).toBe(end);
        }
        const waits = placesOf([...waiting, ...syncing]);
        const all = new Set([...used, ...kept, ...released, ...retired, ...waits]);
        expect(space.end - space.free).toBe(all.size);
        used = [...new Set(used)];
      }
    }),
    { numRuns: 150 },
  );
});

test('long writes get long runs as long as little is free; all that is free is found at last', () => {
  const space = new Space(2);
  space.endScan();
  const places = placesOf(space.take(400));
  // Every eighth of the first 160 is free: too scattered for a long write.
  const holes = places.filter((place) => place < 160 && place % 8 === 0);
  for (const place of holes) space.release(place);
  space.freed(space.takeReleased());
  expect(space.take(32)).toEqual([{ place: 402, count: 32 }]);
  const single = [1, 1, 1].flatMap((count) => placesOf(space.take(count)));
  const scattered = placesOf(space.take(5, true));
  for (const place of [...single, ...scattered]) expect(holes).toContain(place);
  expect(space.free).toBe(holes.length - 8);
});

test('runs to give back are told once', () => {
  const space = new Space(2);
  space.endScan();
  const places = placesOf(space.take(100));
  for (const place of places.slice(10, 60)) space.release(place);
  space.freed(space.takeReleased());
  const runs = [...space.idleRuns(16)];
  expect(runs).toEqual([{ place: 12, count: 50 }]);
  space.punched(runs[0]!);
  expect([space.idle, [...space.idleRuns(16)]]).toEqual([0, []]);
  space.take(20);
  expect(space.idle).toBe(0);
});

test('on a file of many single free places a long write is not looked for long, nor are long runs never found', () => {
  const places = 200_000;
  const space = new Space(places);
  for (let place = 0; place < places; place++)
    if (place % 2 === 0 && (place < 150_000 || place >= 150_100)) space.mark(place, false);
  space.endScan();
  const looked = vi.spyOn(Bits.prototype, 'nextSet');
  let found = 0;
  for (let i = 0; i < 5000 && found === 0; i++) {
    looked.mockClear();
    // Freed every time, as flushes do.
    space.freed([{ place: 2 * i + 2, count: 1 }]);
    const at = space.takeRun(32).place;
    expect(looked.mock.calls.length).toBeLessThan(i < 8 ? 5000 : 100);
    if (at < places) found = at;
  }
  looked.mockRestore();
  expect(found).toBeGreaterThanOrEqual(149_999);
  expect(found).toBeLessThan(150_100);
});
