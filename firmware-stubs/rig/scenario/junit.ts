/**
 * Results as JUnit XML, the form that CI systems read (testsuites, testsuite, testcase, failure, error; there is no
 * specification of it, the common ground is that of Ant's task "junitreport"). Pure.
 */
import { failureText } from './report.ts';
import type { ScenarioResult } from './result.ts';

/** One document for all of them; the test class of each is its kind of rig. */
export function junitXml(results: readonly ScenarioResult[]): string {
  const count = (of: (result: ScenarioResult) => boolean) => results.filter(of).length;
  const totals = [
    `tests="${results.length}"`,
    `failures="${count(({ ok, error }) => !ok && error === undefined)}"`,
    `errors="${count(({ error }) => error !== undefined)}"`,
    `time="${inSeconds(results.reduce((sum, { ms }) => sum + ms, 0))}"`,
  ].join(' ');
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${totals}>`,
    `  <testsuite name="imager rig run" ${totals}>`,
    ...results.flatMap(testcase),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function testcase(result: ScenarioResult): string[] {
  const { name, file, rig, ms, seed, error, failures, ok } = result;
  const open = `    <testcase name="${escaped(name)}" classname="rig.${rig}" file="${escaped(file)}" time="${inSeconds(ms)}">`;
  const properties = [
    '      <properties>',
    `        <property name="seed" value="${seed}"/>`,
    '      </properties>',
  ];
  if (ok) return [open, ...properties, '    </testcase>'];
  const element = error === undefined ? 'failure' : 'error';
  const first = failures[0];
  const message = first === undefined ? (error ?? '') : `expected ${first.expected}, came ${first.came}`;
  return [
    open,
    ...properties,
    `      <${element} message="${escaped(message)}">${escaped(failureText(result).join('\n'))}</${element}>`,
    '    </testcase>',
  ];
}

function inSeconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

/** XML 1.0 section 2.2 has no control characters but tab and the two of line ends, not even escaped. */
function escaped(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '?')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
