import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Budget } from '../../imager/nbd/budget.ts';

test('in the order they ask, once there is room; what is longer than all of it, alone', () => {
  const budget = new Budget(100);
  const granted: string[] = [];
  const take = (name: string, bytes: number): void => budget.take(bytes, () => granted.push(name));
  take('a', 60);
  take('b', 41);
  take('c', 1);
  expect(granted).toEqual(['a']);
  expect(budget.exhausted).toBe(true);
  budget.give(60);
  expect(granted).toEqual(['a', 'b', 'c']);
  expect(budget.exhausted).toBe(false);
  take('d', 500);
  budget.give(41);
  expect(granted).toHaveLength(3);
  budget.give(1);
  expect(granted.at(-1)).toBe('d');
  expect(budget.exhausted).toBe(true);
  budget.give(500);
  expect(budget.exhausted).toBe(false);
});

test('what is granted never adds up to more than there is, and all is granted in the end', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(120), fc.boolean()), { maxLength: 60 }), (steps) => {
      const budget = new Budget(100);
      const held: number[] = [];
      let granted = 0;
      const release = (): void => {
        const bytes = held.shift();
        if (bytes !== undefined) budget.give(bytes);
      };
      for (const [bytes, giveBack] of steps) {
        budget.take(bytes, () => {
          granted++;
          held.push(bytes);
        });
        const sum = held.reduce((a, b) => a + b, 0);
        expect(sum <= 100 || held.filter((each) => each > 0).length === 1).toBe(true);
        if (giveBack) release();
      }
      while (held.length > 0) release();
      expect(granted).toBe(steps.length);
    }),
  );
});
