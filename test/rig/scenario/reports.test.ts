/** Reports of scenarios: text, JUnit XML and picture. */
import { describe, expect, it } from 'vitest';
import { junitXml } from '../../../firmware-stubs/rig/scenario/junit.ts';
import { resultText } from '../../../firmware-stubs/rig/scenario/report.ts';
import type { ScenarioResult } from '../../../firmware-stubs/rig/scenario/result.ts';
import { scenarioSvg } from '../../../firmware-stubs/rig/scenario/svg.ts';
import { eventsOf } from './scripted-rig.ts';

const PASSED: ScenarioResult = {
  ...{ id: 'a', file: 'a.yaml', name: 'power & patience', rig: 'qemu', seed: 7, ok: true, ms: 12_345 },
  ...{ failures: [], error: undefined, logs: '' },
  met: [{ words: 'n1 step ready', at: 12_345 }],
  actions: [
    { at: 0, words: 'power on, n1' },
    { at: 2500, words: 'power cut, n1, at random' },
  ],
  cuts: [
    { openedAt: 0, afterMs: 2500, outcome: 'cut' },
    { openedAt: 3000, afterMs: 60_000, outcome: 'spent' },
  ],
  events: eventsOf(`0 step rig power-on
    1 step firmware start
    2 step firmware boot image=alpha
    2.5 step rig off
    3 step rig power-on
    4 step firmware boot image=alpha
    6 step agent agent
    7 step agent mounted
    12.345 step agent ready`),
};

const FAILED: ScenarioResult = {
  ...PASSED,
  ...{ ok: false, cuts: [], logs: "--- imager's log\nserving" },
  failures: [
    {
      ...{ path: ['expect', 0, 'on'], line: 9, at: 5000, node: 'n1' },
      ...{ expected: 'n1 step ready within 2 s of n1 step boot', came: '4 s n1 agent retry why=<no disk>' },
    },
  ],
  events: [
    ...eventsOf('1 line U-Boot 2023.01\n2 step firmware boot image=alpha\n3 line \u0007panic\n3 write 1'),
    { at: 3500, node: 'n1', kind: 'packet', packet: 'arp' },
    { at: 3600, node: 'n2', kind: 'line', text: 'another node' },
    ...eventsOf('6 line after it was over'),
  ],
};

describe('as text', () => {
  it('what passed is a line, and random cuts with what repeats them', () => {
    expect(resultText(PASSED)).toBe(`passed    12.3 s  power & patience (qemu, seed 7)
  random cuts: 2.5 s after 0 s; none (60 s after 3 s would have been too late); again with --seed 7`);
  });

  it('a draw that the end of the scenario came before', () => {
    const text = resultText({ ...PASSED, cuts: [{ openedAt: 12_000, afterMs: 900, outcome: 'pending' }] });
    expect(text).toContain('random cuts: none (the scenario was over before 0.9 s after 12 s); again');
  });

  it('what failed: where, what was expected, what came, and what was seen before', () => {
    expect(resultText(FAILED)).toBe(`failed    12.3 s  power & patience (qemu, seed 7)
  a.yaml:9, at 5 s:
    expected  n1 step ready within 2 s of n1 step boot
    came      4 s n1 agent retry why=<no disk>
  --- events of n1, the last 2
     2.000  n1 firmware boot image=alpha
     3.000  n1 slot 1: 4 of 4 bytes written
  --- console of n1, the last 2 lines
     1.000  n1 | U-Boot 2023.01
     3.000  n1 | \u0007panic
  --- imager's log
  serving`);
  });

  it('no more than the end of it', () => {
    const events = eventsOf([...Array(50).keys()].map((i) => `${i / 100} line number ${i}`).join('\n'));
    const text = resultText({ ...FAILED, events });
    expect(text).toContain('the last 20 lines\n     0.300  n1 | number 30\n');
    expect(text).not.toContain('number 29\n');
  });

  it('a rig that could not go on', () => {
    expect(resultText({ ...FAILED, failures: [], error: 'no QEMU' })).toMatch(
      /^error {4}12\.3 s {2}power.*\n {2}the rig could not go on:\n {2}no QEMU\n {2}--- events, the last/,
    );
  });
});

describe('as JUnit XML', () => {
  it('has a case for each, failures and errors apart, and no characters that XML has not', () => {
    const xml = junitXml([PASSED, FAILED, { ...FAILED, failures: [], error: 'no QEMU\u0000' }]);
    expect(xml.split('\n').slice(0, 9)).toEqual([
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<testsuites tests="3" failures="1" errors="1" time="37.035">',
      '  <testsuite name="imager rig run" tests="3" failures="1" errors="1" time="37.035">',
      '    <testcase name="power &amp; patience" classname="rig.qemu" file="a.yaml" time="12.345">',
      '      <properties>',
      '        <property name="seed" value="7"/>',
      '      </properties>',
      '    </testcase>',
      '    <testcase name="power &amp; patience" classname="rig.qemu" file="a.yaml" time="12.345">',
    ]);
    expect(xml).toContain(
      '<failure message="expected n1 step ready within 2 s of n1 step boot, came 4 s n1 agent retry why=&lt;no disk&gt;">a.yaml:9, at 5 s:\n',
    );
    expect(xml).toContain('| ?panic');
    expect(xml).toContain('<error message="no QEMU?">');
  });
});

describe('as a picture', () => {
  const svg = scenarioSvg(PASSED);

  it('has a bar for each part of each boot, with how long it took', () => {
    const titles = [...svg.matchAll(/<rect x[^>]*><title>([^<]*)</g)].map(([, title]) => title);
    expect(titles).toEqual([
      ...['n1, reset: 1 s', 'n1, firmware: 1 s', 'n1, kernel: 0.5 s'],
      ...['n1, reset: 1 s', 'n1, kernel: 2 s', 'n1, agent: 1 s', 'n1, configure: 5.345 s'],
    ]);
  });

  it('says what was done and how it ended', () => {
    const texts = [...svg.matchAll(/<text[^>]*>([^<]*)</g)].map(([, text]) => text);
    expect(texts).toContain('power &amp; patience (qemu, seed 7)');
    expect(texts).toContain('1  0 s  power on, n1');
    expect(texts).toContain('2  2.5 s  power cut, n1, at random');
    expect(texts).toContain('passed');
    expect(scenarioSvg(FAILED)).toContain('expected n1 step ready within 2 s of n1 step boot; came');
  });
});
