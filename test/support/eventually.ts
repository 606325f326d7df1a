import { vi } from 'vitest';

/** Resolves once `check` throws no more, however busy the machine is: the test's own time is the limit. */
export function eventually(check: () => unknown): Promise<unknown> {
  return vi.waitFor(check, { timeout: 120_000, interval: 2 });
}
