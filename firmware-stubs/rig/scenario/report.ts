/** What came of scenarios, for people: one line each, and what a failure needs to be understood. Pure. */
import type { RigEvent } from './event.ts';
import type { Failure } from './failure.ts';
import type { PlacedFailure, ScenarioResult } from './result.ts';
import { eventWords, seconds } from './words.ts';

/** Console lines, and events but for packets, that are shown before a failure. */
const LINES = 20;
const EVENTS = 15;

/** `passed   27.1 s  double reboot (qemu, seed 1)`, and below it random cuts and failures. */
export function resultText(result: ScenarioResult): string {
  const { ok, error, name, rig, seed } = result;
  const verdict = ok ? 'passed' : error === undefined ? 'failed' : 'error';
  const head = `${verdict}  ${(result.ms / 1000).toFixed(1).padStart(6)} s  ${name} (${rig}, seed ${seed})`;
  return [head, ...cutsText(result), ...failureText(result).map((line) => `  ${line}`.trimEnd())].join('\n');
}

/** Everything about what failed, a line each; nothing where all is well. */
export function failureText(result: ScenarioResult): string[] {
  if (result.ok) return [];
  if (result.error !== undefined)
    return [
      'the rig could not go on:',
      ...result.error.trimEnd().split('\n'),
      ...consoleText(result, undefined),
    ];
  return [
    ...result.failures.flatMap((failure) => expectedText(result, failure)),
    ...consoleText(result, result.failures[0]),
    ...(result.logs === '' ? [] : result.logs.split('\n')),
  ];
}

function expectedText({ file }: ScenarioResult, { line, expected, came, at }: PlacedFailure): string[] {
  return [`${file}:${line}, at ${seconds(at)}:`, `  expected  ${expected}`, `  came      ${came}`];
}

/** The random cuts, and how to have the same ones again. */
function cutsText({ cuts, seed }: ScenarioResult): string[] {
  if (cuts.length === 0) return [];
  const words = cuts.map(({ openedAt, afterMs, outcome }) => {
    const drawn = `${seconds(afterMs)} after ${seconds(openedAt)}`;
    if (outcome === 'cut') return drawn;
    return outcome === 'spent'
      ? `none (${drawn} would have been too late)`
      : `none (the scenario was over before ${drawn})`;
  });
  return [`  random cuts: ${words.join('; ')}; again with --seed ${seed}`];
}

/** The last events and console lines up to a failure, of its node where it has one. */
function consoleText({ events }: ScenarioResult, failure: Failure | undefined): string[] {
  const before = events.filter(
    ({ at, node }) =>
      (failure === undefined || at <= failure.at) &&
      (failure?.node === undefined || node === undefined || node === failure.node),
  );
  const steps = before.filter(({ kind }) => kind !== 'line' && kind !== 'packet').slice(-EVENTS);
  const lines = before.filter(({ kind }) => kind === 'line').slice(-LINES);
  const who = failure?.node === undefined ? '' : ` of ${failure.node}`;
  return [
    `--- events${who}, the last ${steps.length}`,
    ...steps.map(timed),
    `--- console${who}, the last ${lines.length} lines`,
    ...lines.map(timed),
  ];
}

function timed(event: RigEvent): string {
  return `${(event.at / 1000).toFixed(3).padStart(8)}  ${eventWords(event)}`;
}
