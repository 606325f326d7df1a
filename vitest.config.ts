import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
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
