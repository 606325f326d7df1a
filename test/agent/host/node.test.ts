/** The host on Node. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { HostError } from '../../../agent/linux/host.ts';
import { NodeHost } from '../../../agent/node/host.ts';
import { EXPECTED, runHostContract } from '../../contract/host.ts';
import { closedPort, startEcho } from './echo.ts';

test('keeps the contract of a host', async () => {
  const echo = await startEcho();
  const folder = mkdtempSync(join(tmpdir(), 'bootwright-node-'));
  const seen = await runHostContract(new NodeHost(), folder, echo.port, await closedPort());
  echo.server.close();
  rmSync(folder, { recursive: true, force: true });
  expect(seen).toEqual(EXPECTED);
});

test('a tool that fails is an error with its own words', () => {
  const host = new NodeHost();
  expect(() => host.mount('/none', '/none/here', 'ext4', 'ro')).toThrow(/mount -t ext4 -o ro .*here/s);
  expect(() => host.mount('/none', '/none/here', 'ext4', 'ro')).toThrow(HostError);
});
