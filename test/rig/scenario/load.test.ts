/** Scenario files: what is in them, and every fault with its place. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { projectFile } from '../../../firmware-stubs/rig/project.ts';
import { loadScenario, parseScenario } from '../../../firmware-stubs/rig/scenario/load.ts';
import { durationMs } from '../../../firmware-stubs/rig/scenario/schema.ts';
import { ConfigError } from '../../../imager/model/fault.ts';
import { HEAD_LINES, scenarioOf, scenarioText } from './texts.ts';

const GOOD = `script:
  - { on: start, do: { power: on } }
  - { on: { step: load }, nth: 2, after: 300ms, do: [{ power: cycle, off: 1s }, { network: drop, traffic: tftp, for: 2s }] }
expect:
  - { on: { line: "^half way" }, within: 1.5m }
  - { count: { step: pointer, detail: { attempts: 3 } }, times: 2 }
  - { pointer: { phase: ready } }
  - { image: alpha }
cuts: { random: 3, between: [{ step: power-on }, { step: ready }], spread: 8s }
`;

describe('a scenario', () => {
  const scenario = scenarioOf(GOOD);

  it('has times in milliseconds, and names and addresses from the imager', () => {
    expect(scenario).toMatchObject({ name: 'a test', seed: 1, timeoutMs: 60_000, writeStops: [] });
    expect(scenario.nodes[0]).toEqual({
      ...{ name: 'n1', rig: 'arm64', mac: '52:54:00:77:00:11', uid: '6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601' },
      pointer: { image: 'alpha', disks: ['n1-root'], phase: 'deploy', attempts: 3, fallback: '' },
    });
    expect(scenario.expect[0]).toMatchObject({
      kind: 'event',
      withinMs: 90_000,
      on: { words: 'line /^half way/' },
    });
    expect(scenario.cuts).toMatchObject({ node: 'n1', count: 3, spreadMs: 8000, offMs: 500 });
  });

  it('a power cycle and a fault with a duration are two actions each', () => {
    expect(scenario.script[1]).toMatchObject({ nth: 2, afterMs: 300 });
    expect(scenario.script[1]?.actions.map(({ action, later }) => ({ action, later }))).toEqual([
      {
        action: { kind: 'power', node: 'n1', power: 'cut' },
        later: { afterMs: 1000, action: { kind: 'power', node: 'n1', power: 'on' } },
      },
      {
        action: { kind: 'network', node: 'n1', network: 'drop', traffic: 'tftp' },
        later: { afterMs: 2000, action: { kind: 'network', node: 'n1', network: 'heal' } },
      },
    ]);
  });

  it('knows the line of each of its parts', () => {
    expect(scenario.lineOf(['script', 1, 'on'])).toBe(HEAD_LINES + 3);
    expect(scenario.lineOf(['expect', 2, 'pointer'])).toBe(HEAD_LINES + 7);
  });

  it('names the counts of bytes at which a write is to be told of', () => {
    const stored =
      'script: [{ on: { write: 1, stored: 7 }, do: { power: cut } }]\nexpect: [{ on: { write: any, stored: 3 } }]\n';
    expect(scenarioOf(stored).writeStops).toEqual([3, 7]);
  });
});

/** Text that takes the place of another in GOOD, and what is said of it: line within GOOD, path, expectation. */
const FAULTS: [string, string, number, RegExp][] = [
  ['on: start', 'on: strat', 2, /^script\[0\]\.on: found "strat", expected start, or an event$/],
  ['power: on', 'power: of', 2, /^script\[0\]\.do\.power: found "of", expected one of on, cut, cycle$/],
  ['step: load', 'step: load, line: x', 3, /^script\[1\]\.on: .* expected just one of step, line, packet/],
  ['step: load', 'line: "("', 3, /^script\[1\]\.on\.line: found "\(", expected a regular expression$/],
  [
    'step: load',
    'line: x, stored: 3',
    3,
    /^script\[1\]\.on\.stored: found 3, expected nothing, except beside write$/,
  ],
  [
    'step: load',
    'step: load, node: n2',
    3,
    /^script\[1\]\.on\.node: found "n2", expected a node of this scenario: n1$/,
  ],
  ['300ms', '300', 3, /^script\[1\]\.after: found 300, expected a duration such as 500ms/],
  ['power: cycle, off', 'power: cut, off', 3, /^script\[1\]\.do\[0\]\.off: .* except beside power: cycle$/],
  ['network: drop', 'network: delay', 3, /^script\[1\]\.do\[1\]\.by: found nothing, expected a duration/],
  [
    'network: drop, traffic: tftp',
    'flash: { image: gamma }',
    3,
    /^script\[1\]\.do\[1\]\.for: found "2s", expected nothing/,
  ],
  [
    'network: drop, traffic: tftp, for: 2s',
    'flash: { image: gamma }',
    3,
    /flash\.image: found "gamma", expected an image of this scenario: alpha, broken$/,
  ],
  [
    'network: drop, traffic: tftp, for: 2s',
    'write: { offset: 8190, hex: 00ff00 }',
    3,
    /^script\[1\]\.do\[1\]\.write\.hex: found "00ff00", expected at most 2 bytes: the pointer store has 8192$/,
  ],
  ['within: 1.5m', 'times: 2', 5, /^expect\[0\]\.times: found 2, expected nothing, except beside count$/],
  [', times: 2', '', 6, /^expect\[1\]\.count: .* expected nothing, except beside times$/],
  [
    'step: load }',
    'step: laod }',
    3,
    /^script\[1\]\.on\.step: found "laod", expected a step of rig: power-on, off; of firmware: start, .*of agent: .*ready/,
  ],
  [
    'step: load }',
    'step: load, component: agent }',
    3,
    /^script\[1\]\.on\.step: found "load", expected a step of agent: agent, pointer, mounted, /,
  ],
  [
    'attempts: 3',
    'atempts: 3',
    6,
    /^expect\[1\]\.count\.detail\.atempts: found unknown key "atempts", expected a detail of step pointer: .*attempts/,
  ],
  [
    'attempts: 3',
    'slot: 1, phase: ready',
    6,
    /^expect\[1\]\.count\.step: found "pointer", expected component: slot and phase are details of different ones$/,
  ],
  [
    'step: ready }]',
    'step: toString }]',
    9,
    /^cuts\.between\[1\]\.step: found "toString", expected a step of/,
  ],
  [
    'phase: ready',
    'phase: raedy',
    7,
    /^expect\[2\]\.pointer\.phase: found "raedy", expected one of deploy, ready$/,
  ],
  [
    'image: alpha',
    'image: delta',
    8,
    /^expect\[3\]\.image: found "delta", expected an image of this scenario/,
  ],
  ['random: 3', 'random: many', 9, /^cuts\.random: found "many", expected a number of cuts/],
  ['spread: 8s', 'spred: 8s', 9, /^cuts\.spread: found nothing, expected a duration/],
  [
    '  - { on: { line: "^half way" }, within: 1.5m }\n',
    '',
    5,
    /^expect: .* expected at least one event in order/,
  ],
];

test.each(FAULTS)('%s -> %s', (from, to, line, expected) => {
  expect(GOOD).toContain(from);
  const faults = faultsOf(scenarioText(GOOD.replace(from, to)));
  expect(faults).toContainEqual(expect.stringMatching(expected));
  const found = faults.find((fault) => expected.test(fault))!;
  expect(placed(scenarioText(GOOD.replace(from, to)), found)).toBe(HEAD_LINES + line);
});

describe('the imager of a scenario', () => {
  it('is checked where it stands', () => {
    const text = scenarioText(GOOD).replace('52:54:00:77:00:11', '52:54').replace('prefix: 24', 'prefix: 44');
    expect(() => parseScenario(text, 'a.yaml')).toThrow(/^a\.yaml:8:\d+: imager\.network\.prefix: /);
    const lost = scenarioText(GOOD).replace('address: 10.77.0.11', 'address: 10.78.0.11');
    expect(() => parseScenario(lost, 'a.yaml')).toThrow(/^a\.yaml:10:\d+: imager\.nodes\[0\]\.address: /);
  });

  it('a node that it does not know must say who it is', () => {
    const text = scenarioText(GOOD).replace('name: n1, mac', 'name: n7, mac');
    expect(faultsOf(text)).toEqual([
      expect.stringMatching(/^nodes\[0\]\.mac: found nothing, expected the mac of n1/),
      expect.stringMatching(/^nodes\[0\]\.uid: found nothing/),
    ]);
  });

  it('may be a file beside it, whose scripts are found from there', () => {
    const { imager } = loadScenario(projectFile('fixtures/scenarios/fallback.yaml'));
    expect(imager.config.userConfigs.web?.scripts.map(({ name }) => name)).toEqual([
      '10-first',
      '20-slow',
      '50-last',
    ]);
    expect(imager.content.state).toBeUndefined();
  });

  it('may have as many aliases there as the imager itself reads', () => {
    const dir = mkdtempSync(join(tmpdir(), 'scenario-'));
    try {
      const node = (i: number, config: string) =>
        `  - { name: n${i}, mac: "52:54:00:77:00:${(i + 16).toString(16)}", uid: "serial:${i}", userConfig: ${config} }\n`;
      const nodes = [node(1, '&web web'), ...Array.from({ length: 150 }, (_, i) => node(i + 2, '*web'))];
      writeFileSync(
        join(dir, 'imager.yaml'),
        `state: ./state
cluster: lab
network: { address: 10.77.0.1, prefix: 24, pool: { from: 10.77.0.20, to: 10.77.0.250 } }
nodes:
${nodes.join('')}userConfigs:
  web: { services: { init: [/sbin/init], ports: [80], timeoutSeconds: 60 } }
`,
      );
      const own = scenarioText(GOOD).replace(/^imager:\n(?: .*\n)*/m, 'imager: imager.yaml\n');
      writeFileSync(join(dir, 'a.yaml'), own);
      expect(loadScenario(join(dir, 'a.yaml')).imager.content.nodes).toHaveLength(151);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

test('the scenarios that come with the project have no faults', () => {
  const folder = projectFile('fixtures/scenarios');
  const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));
  expect(files.length).toBeGreaterThanOrEqual(3);
  for (const file of files) expect(loadScenario(`${folder}/${file}`).name).not.toBe('');
});

test('durations', () => {
  expect(['500ms', '1.5s', '2m', '0s'].map(durationMs)).toEqual([500, 1500, 120_000, 0]);
  expect(['5', '-1s', '1h', '', '1 s', '2000m'].map(durationMs)).toEqual(Array(6).fill(undefined));
});

function errorOf(text: string): ConfigError {
  try {
    parseScenario(text, 'a.yaml');
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('no fault was found');
}

/** `path: found ..., expected ...` of each. */
function faultsOf(text: string): string[] {
  return errorOf(text).faults.map(
    ({ path, found, expected }) => `${path}: found ${found}, expected ${expected}`,
  );
}

function placed(text: string, fault: string): number | undefined {
  return errorOf(text).faults.find(({ path }) => fault.startsWith(`${path}: `))?.line;
}
