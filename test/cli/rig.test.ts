/** `imager rig run` on the simulated rig: what it prints and writes, and its exit codes. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import type { ScenarioResult } from '../../firmware-stubs/rig/scenario/result.ts';
import { imagerProgram, runVerb } from '../support/imager-verbs.ts';

const SCENARIOS = projectFile('fixtures/scenarios');

let dir: string;
beforeAll(async () => {
  await imagerProgram();
  dir = mkdtempSync(join(tmpdir(), 'cli-rig-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const rigRun = (...args: string[]) => runVerb(['rig', 'run', '--rig', 'simulated', ...args], { cwd: dir });

const scenario = (name: string) => join(SCENARIOS, `${name}.yaml`);

/** The text of a scenario of the project, changed, in a file of its own. */
function changed(name: string, from: string | RegExp, to: string): string {
  const file = join(dir, `${name}-changed.yaml`);
  const text = readFileSync(scenario(name), 'utf8').replaceAll(
    'lab/imager.yaml',
    `${SCENARIOS}/lab/imager.yaml`,
  );
  expect(text).toMatch(from);
  writeFileSync(file, text.replace(from, to));
  return file;
}

describe('scenarios that pass', () => {
  it('several at once: a line each, exit code 0, and reports', async () => {
    const names = ['double-reboot-power-cuts', 'fallback', 'imager-restart'];
    const reports = ['--junit', 'results.xml', '--svg', 'picture.svg', '--keep', 'kept', '--parallel', '3'];
    const { code, stdout, stderr } = await rigRun(...names.map(scenario), ...reports);
    expect(code, stdout + stderr).toBe(0);
    expect(stdout.trim().split('\n')).toEqual(
      Array(3).fill(expect.stringMatching(/^passed +\d+\.\d s {2}.* \(simulated, seed 1\)$/)),
    );
    expect(stderr).toMatch(/^fallback: +\d+\.\d{3} {2}power on, n1$/m);
    expect(readFileSync(join(dir, 'results.xml'), 'utf8')).toContain(
      '<testsuites tests="3" failures="0" errors="0"',
    );
    for (const name of names) {
      expect(readFileSync(join(dir, `picture-${name}.svg`), 'utf8')).toContain('>passed</text>');
      expect(existsSync(join(dir, 'kept', name))).toBe(true);
    }
  });

  it('as JSON: everything, in the order of the files', async () => {
    const { stdout } = await rigRun(scenario('imager-restart'), scenario('fallback'), '--json');
    const results = JSON.parse(stdout) as ScenarioResult[];
    expect(results.map(({ id, ok }) => [id, ok])).toEqual([
      ['imager-restart', true],
      ['fallback', true],
    ]);
    expect(results[0]?.actions.map(({ words }) => words)).toContain('imager kill');
  });

  it('random cuts are repeated by their seed', async () => {
    const cuts = 'cuts: { random: 3, between: [{ step: power-on }, { step: ready }], spread: 4s }\n$&';
    const file = changed('fallback', /script:/, cuts);
    const draws = async (...seed: string[]) => {
      const { stdout } = await rigRun(file, '--json', ...seed);
      return (JSON.parse(stdout) as ScenarioResult[])[0]!;
    };
    const [one, again, other] = await Promise.all([draws('--seed', '5'), draws('--seed', '5'), draws()]);
    expect(one.cuts.filter(({ outcome }) => outcome === 'cut')).toHaveLength(3);
    expect(again).toEqual(one);
    expect(other.cuts).not.toEqual(one.cuts);
  });
});

describe('scenarios that do not', () => {
  it('one that is made to fail says what was expected, what came, and shows the console', async () => {
    const { code, stdout, stderr } = await rigRun(scenario('lab/made-to-fail'));
    expect(code).toBe(1);
    expect(stdout).toMatch(/^failed +\d+\.\d s {2}made to fail \(simulated, seed 1\)\n/);
    expect(stdout).toMatch(
      /made-to-fail\.yaml:14, at [\d.]+ s:\n {4}expected {2}step ready within 6 s of step boot\n {4}came {6}/,
    );
    expect(stdout).toMatch(/ {2}--- console, the last \d+ lines\n(?: +[\d.]+ {2}n1 \| .*\n)*.*Kernel panic/);
    expect(stderr).toMatch(/^imager: 1 of 1 scenario failed$/m);
  });

  it('a file with a fault is exit code 2, and nothing is run', async () => {
    const file = changed('fallback', /step: ready/, 'stepp: ready');
    const { code, stdout, stderr } = await rigRun(scenario('imager-restart'), file);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(
      /fallback-changed\.yaml:11:\d+: script\[1\]\.on\.stepp: found unknown key "stepp", expected one of /,
    );
    expect((await rigRun('nothing.yaml')).stderr).toBe(
      'nothing.yaml: found no such file, expected a scenario file\n',
    );
  });

  it('so is one that asks for what the rig has not: it says what, and where', async () => {
    const file = changed('fallback', /step: error/, 'line: "Linux version"');
    const { code, stdout, stderr } = await rigRun(file);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(
      /fallback-changed\.yaml:\d+: the simulated rig has no console of a kernel or its programs/,
    );
  });

  it('a folder, and a file that is something else: in words, and not all of the faults', async () => {
    const folder = await rigRun(SCENARIOS);
    expect(folder).toEqual({
      code: 2,
      stdout: '',
      stderr: `${SCENARIOS}: found a folder, expected a scenario file\n`,
    });
    writeFileSync(join(dir, 'other.yaml'), Array.from({ length: 20 }, (_, i) => `key${i}: 1\n`).join(''));
    const { code, stderr } = await rigRun('other.yaml');
    expect(code).toBe(2);
    expect(stderr.trim().split('\n')).toEqual([
      ...Array(5).fill(expect.stringMatching(/^other\.yaml:\d+:\d+: .*found/)),
      expect.stringMatching(/^other\.yaml: 2\d more$/),
    ]);
  });

  it.each([
    [['--junit', 'nowhere/results.xml'], /--junit nowhere\/results\.xml: there is no folder nowhere$/m],
    [['--junit', '.'], /--junit \.: it is a folder, not a file$/m],
    [['--svg', 'nowhere/a.svg'], /--svg nowhere\/a\.svg: there is no folder nowhere$/m],
    [['--keep', 'taken'], /--keep taken\/fallback: a file is where a folder must be$/m],
  ])('what cannot be written is said before anything runs: %j', async (args, message) => {
    writeFileSync(join(dir, 'taken'), 'as it was');
    const { code, stdout, stderr } = await rigRun(scenario('fallback'), '--junit', 'untouched.xml', ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('power on');
    expect(existsSync(join(dir, 'untouched.xml'))).toBe(false);
    expect(readFileSync(join(dir, 'taken'), 'utf8')).toBe('as it was');
  });

  it.each([
    [['--seed', '-1'], /expected a whole number from 0 to 4294967295/],
    [['--parallel', '0'], /expected a whole number from 1 to 9999/],
    [['--rig', 'paper'], /Allowed choices are qemu, simulated/],
  ])('wrong usage is exit code 2: %j', async (args, message) => {
    const { code, stderr } = await rigRun(scenario('fallback'), ...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});
