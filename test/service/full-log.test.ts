/** An imager whose log cannot be written: standard error is a file on a full disk. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { endsWithTest } from '../support/ends-with-test.ts';
import { imagerProgram } from '../support/imager-verbs.ts';
import { ask, ON_LOOPBACK } from '../support/served.ts';

test('it serves all the same, and ends in order', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'full-log-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'imager.yaml'), ON_LOOPBACK);
  const words = [
    await imagerProgram(),
    'serve',
    '--config',
    join(dir, 'imager.yaml'),
    '--log-level',
    'trace',
  ];
  const child = endsWithTest(
    spawn(process.execPath, words, { stdio: ['ignore', 'pipe', openSync('/dev/full', 'w')] }),
  );
  const ended = once(child, 'exit');
  const [ready] = (await Promise.race([once(child.stdout!, 'data'), ended])) as [Buffer | number];
  expect(String(ready)).toMatch(/^ready /);
  const health = await ask({ socketPath: join(dir, 'state/control.sock'), path: '/health' });
  expect(health.status).toBe(200);
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});
