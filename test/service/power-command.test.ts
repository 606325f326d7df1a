/** Power commands as a lab has them: well behaved, failing, stubborn, and leaving something in the background. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runPowerCommand } from '../../imager/service/power-command.ts';
import { eventually } from '../support/eventually.ts';
import { bundle } from '../support/inside.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'power-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function shell(script: string, timeoutMs?: number): Promise<void> {
  return runPowerCommand(['sh', '-c', script], dir, timeoutMs);
}

/** Whether the process whose id the script wrote to `file` still runs. */
function runs(file: string): boolean {
  const pid = Number(readFileSync(join(dir, file), 'utf8'));
  // A killed process that nobody waited for is a zombie.
  return existsSync(`/proc/${pid}`) && !/^State:\sZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

test('runs in its directory; a failure tells how, and what was printed', async () => {
  await shell('touch done');
  expect(existsSync(join(dir, 'done'))).toBe(true);
  await expect(shell('echo out; echo err >&2; exit 3')).rejects.toThrow(
    /^power command sh -c .*: exit 3: err\nout$/,
  );
  await expect(shell('kill -9 $$')).rejects.toThrow(/: ended by SIGKILL$/);
  await expect(runPowerCommand(['./absent'], dir)).rejects.toThrow('spawn ./absent ENOENT');
  await shell('head -c 3000000 /dev/zero');
});

test('what it leaves in the background does not hold it up, and runs on', async () => {
  const started = performance.now();
  await shell('(while echo still here; do sleep 0.02; done) & echo $! >pid');
  expect(performance.now() - started).toBeLessThan(5000);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(runs('pid')).toBe(true);
  process.kill(Number(readFileSync(join(dir, 'pid'), 'utf8')));
});

test('the limit is one: also for a command that ignores SIGTERM, and for its children', async () => {
  const started = performance.now();
  const running = shell('trap "" TERM; sleep 20 & echo $! >pid; echo at it; sleep 20; sleep 20', 300);
  await expect(running).rejects.toThrow(/: took longer than 0.3 s: at it$/);
  expect(performance.now() - started).toBeLessThan(5000);
  await eventually(() => expect(runs('pid')).toBe(false));
});

test('an imager without a free file descriptor says so, and lives', async () => {
  const program = await bundle('test/service/power-starved.ts');
  const starved = promisify(execFile)('sh', ['-c', `ulimit -n 64; exec ${process.execPath} ${program}`]);
  expect((await starved).stdout).toMatch(/^power command true: spawn true EMFILE\n$/);
});
