/** `imager rig run` on QEMU, as anybody calls it: one scenario that passes, and one that is made to fail. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import type { ScenarioResult } from '../../firmware-stubs/rig/scenario/result.ts';

const LIMIT = 400_000;

let dir: string;
let stdout = '';
let stderr = '';
let results: ScenarioResult[];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'rig-run-'));
  const files = ['imager-restart', 'lab/made-to-fail'].map((name) => `fixtures/scenarios/${name}.yaml`);
  const argv = [projectFile('dist/imager/cli/main.js'), 'rig', 'run', ...files, '--json', '--keep', dir];
  const options = { cwd: projectFile('.'), timeout: LIMIT, maxBuffer: 2 ** 26 };
  const run = await promisify(execFile)(process.execPath, argv, options).catch((error) => error);
  ({ stdout, stderr } = run);
  expect(run.code, stderr).toBe(1);
  results = JSON.parse(stdout) as ScenarioResult[];
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it('the imager may be killed and started while a node boots: it goes on, and no attempt is lost', () => {
  const [restarted] = results;
  expect(restarted, stderr).toMatchObject({ id: 'imager-restart', rig: 'qemu', ok: true, failures: [] });
  const steps = restarted!.events.flatMap((event) =>
    event.kind === 'step' && ['firmware', 'agent'].includes(event.component) ? [event.step] : [],
  );
  expect(steps.slice(-5)).toEqual(['pointer', 'mounted', 'services', 'stage2', 'ready']);
  // What the imager's servers saw is there as well, from before and after it was killed.
  const acks = restarted!.events.flatMap(({ at, ...event }) =>
    event.kind === 'step' && event.component === 'dhcp' && event.step === 'ack' ? [at] : [],
  );
  const started = restarted!.events.filter((event) => event.kind === 'imager' && event.state === 'started');
  expect(acks[0]).toBeLessThan(started[0]!.at);
  expect(acks.at(-1)).toBeGreaterThan(started[0]!.at);
});

it('the node writes its own store, and each write is told', () => {
  const slots = results[0]!.events.flatMap((event) => (event.kind === 'write' ? [event.slot] : []));
  expect(slots.length).toBeGreaterThanOrEqual(6);
  expect(slots).toEqual(slots.map((_, i) => (slots[0]! + i) % 2));
});

it('what fails shows what was expected, what came, and the console up to then', () => {
  const failed = results[1]!;
  expect(failed).toMatchObject({ id: 'made-to-fail', ok: false });
  expect(failed.failures).toMatchObject([{ expected: 'step ready within 6 s of step boot', line: 14 }]);
  expect(failed.events).toContainEqual(
    expect.objectContaining({
      kind: 'line',
      text: expect.stringContaining('bootwright: firmware boot broken'),
    }),
  );
  expect(stderr).toMatch(/^imager: 1 of 2 scenarios failed$/m);
});

it('what is kept is all that a scenario leaves', () => {
  expect(readFileSync(join(dir, 'imager-restart/n1.serial.log'), 'utf8')).toContain(
    'bootwright: firmware start',
  );
  expect(readFileSync(join(dir, 'made-to-fail/imager.log'), 'utf8')).toContain('serving');
});
