/** The watchdog's feeder, with a FIFO in the place of the hardware: what it is written is what the hardware would get. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { endsWithTest } from '../support/ends-with-test.ts';
import { staticProgram } from '../support/static-program.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootwright-watchdog-'));
let program = '';
let watching = '';
let fifos = 0;
beforeAll(async () => {
  program = await staticProgram({ entry: 'test/agent/host/programs/fed.ts' });
  watching = await staticProgram({ entry: 'test/agent/host/programs/watching.ts' });
}, 240_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Starts an agent with a watchdog of two seconds; `fed` has what the hardware got. */
function start() {
  const fifo = join(folder, `watchdog-${fifos++}`);
  execFileSync('mkfifo', [fifo]);
  const device = createReadStream(fifo);
  let fed = '';
  device.on('data', (bytes) => {
    fed += bytes.toString();
  });
  const agent = endsWithTest(spawn(program, [fifo], { stdio: ['pipe', 'inherit', 'inherit'] }));
  return {
    agent,
    fed: () => fed,
    closed: once(device, 'end'),
    async meals(count: number) {
      const before = fed.length;
      while (fed.length < before + count) await once(device, 'data');
    },
  };
}

test('is fed while the agent is well, and switched off by the magic close where it takes its leave', async () => {
  const { agent, fed, closed, meals } = start();
  await meals(8);
  agent.stdin.end('leave');
  await closed;
  expect(fed()).toMatch(/^\0+V$/);
}, 30_000);

test.each(['SIGSTOP', 'SIGKILL'] as const)(
  '%s: nothing more is fed, and nothing switched off',
  async (signal) => {
    const { agent, fed, closed, meals } = start();
    await meals(2);
    agent.kill(signal);
    // The hardware waits two seconds: what comes after that comes too late.
    await new Promise((passed) => setTimeout(passed, 2000));
    const late = fed().length;
    await new Promise((passed) => setTimeout(passed, 1500));
    expect(fed()).toMatch(/^\0+$/);
    expect(fed().length).toBe(late);
    agent.kill('SIGKILL');
    await closed;
    expect(fed()).not.toContain('V');
  },
  30_000,
);

test('an agent whose feeder was ended says so and goes on', async () => {
  const fifo = join(folder, 'ended');
  execFileSync('mkfifo', [fifo]);
  const device = createReadStream(fifo);
  const agent = endsWithTest(spawn(watching, [fifo], { stdio: ['pipe', 'pipe', 'inherit'] }));
  const closed = once(agent, 'close');
  let said = '';
  agent.stdout.on('data', (text) => {
    said += text;
  });
  await once(device, 'data');
  const feeder = Number(readFileSync(`/proc/${agent.pid}/task/${agent.pid}/children`, 'utf8'));
  process.kill(feeder, 'SIGTERM');
  await once(device, 'end');
  while (!said.includes('feed') && agent.exitCode === null)
    await Promise.race([once(agent.stdout, 'data'), closed]);
  agent.stdin.end('enough');
  expect(await closed).toEqual([0, null]);
  expect(said).toBe('bootwright: watchdog: 2 s\nbootwright: watchdog: feed watchdog: Broken pipe\nwell\n');
}, 30_000);
