import { expect, test } from 'vitest';
import type { DhcpMessage } from '../../imager/dhcp/codec.ts';
import type { Decision } from '../../imager/dhcp/decision.ts';
import { readClientOptions } from '../../imager/dhcp/options/client.ts';
import { warmUp } from '../../imager/dhcp/warm-up.ts';

test('what is decided about is a DISCOVER, many times', () => {
  const seen: DhcpMessage[] = [];
  warmUp((message) => {
    seen.push(message);
    return { kind: 'silence', reason: 'unknown-client' } as Decision;
  });
  expect(seen.length).toBeGreaterThan(1);
  expect(
    seen.every(({ op, options }) => op === 'request' && readClientOptions(options).messageType === 1),
  ).toBe(true);
});

test('what fails there is no end of the start', () => {
  let calls = 0;
  warmUp(() => {
    calls++;
    throw new Error('no such boot file');
  });
  expect(calls).toBe(1);
});
