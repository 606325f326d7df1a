import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: './test/support/programs.ts',
    reporters: ['default', './test/support/tally.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Most tests wait for real clients and emulated nodes rather than for the processor.
    maxWorkers: 3,
  },
});
