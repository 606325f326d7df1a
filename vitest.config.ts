import { defineConfig } from 'vitest/config';
import { alone } from './test/support/alone.ts';
import { LongestFirst } from './test/support/longest-first.ts';

const TESTS = ['test/**/*.test.ts'];
const ALONE = alone();

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'alone', include: ALONE } },
      { extends: true, test: { name: 'together', include: TESTS, exclude: ALONE, isolate: false } },
    ],
    globalSetup: './test/support/programs.ts',
    sequence: { sequencer: LongestFirst },
    reporters: ['default', './test/support/tally.ts'],
    // For what hangs, however busy the machine is: a dozen processes may wait for their turn.
    testTimeout: 180_000,
    // The first whole boot of a clone downloads and builds what all others take from a cache.
    hookTimeout: 600_000,
    expect: { poll: { timeout: 120_000 } },
    // Most tests wait for real clients and emulated nodes rather than for the processor.
    maxWorkers: 3,
  },
});
