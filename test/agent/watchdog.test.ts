/** The watchdog's feeder, with a FIFO in the place of the hardware: what it is written is what the hardware would get. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

/** Starts an agent with a watchdog of two seconds, which runs `commands`; `fed` has what the hardware got. */
function start(...commands: string[]) {
  const fifo = join(folder, `watchdog-${fifos++}`);
  execFileSync('mkfifo', [fifo]);
  const device = createReadStream(fifo);
  let fed = '';
  device.on('data', (bytes) => {
    fed += bytes.toString();
  });
  const agent = endsWithTest(spawn(program, [fifo, ...commands], { stdio: ['pipe', 'inherit', 'inherit'] }));
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

/** Holds a lease on a file (fcntl(2)): for so long whoever opens it waits in the kernel, as for a disk that is away. */
async function withhold(path: string): Promise<() => void> {
  const script = `
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
fcntl.fcntl(os.open(sys.argv[1], os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
time.sleep(40)`;
  const holder = endsWithTest(
    spawn('python3', ['-c', script, path], { stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  await once(holder.stdout, 'data');
  return () => void holder.kill('SIGKILL');
}

test('is fed while the agent waits for the disk that a program it starts is on', async () => {
  const [script, mark] = [join(folder, 'script'), join(folder, 'ran')];
  writeFileSync(script, `#!/bin/sh\n: > ${mark}\n`, { mode: 0o755 });
  const release = await withhold(script);
  const { agent, fed, closed, meals } = start(script);
  await meals(1);
  // Longer than the last pulse counts, and than the hardware waits.
  await new Promise((passed) => setTimeout(passed, 4000));
  const before = fed().length;
  await new Promise((passed) => setTimeout(passed, 1500));
  expect(fed().length).toBeGreaterThan(before);
  expect(existsSync(mark)).toBe(false);
  release();
  agent.stdin.end('leave');
  await closed;
  expect(fed()).toMatch(/^\0+V$/);
  expect(existsSync(mark)).toBe(true);
}, 30_000);

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
