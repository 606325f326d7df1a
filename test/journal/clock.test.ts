import { pino } from 'pino';
import { expect, test } from 'vitest';
import { partingOf } from '../../imager/journal/clock.ts';

test.each([
  [3_600_000, '3600 s ahead of'],
  [-61_000, '61 s behind'],
])('a clock of the machine that parts by %d ms is told once', (step, words) => {
  const said: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void said.push(JSON.parse(line).msg) });
  let now = 1_000_000;
  let wall = now;
  const look = partingOf({ now: () => now }, log, () => wall);
  look();
  wall += 59_000;
  look();
  expect(said).toEqual([]);
  wall = now + step;
  look();
  now += 10_000;
  look();
  expect(said).toEqual([expect.stringContaining(words)]);
});
