/** Script items, expectations and cuts as they are run, from their form in the file. */
import type { ConfigPath } from '../../../imager/model/fault.ts';
import type { RigAction } from './action.ts';
import type { Names } from './names.ts';
import type { EventPattern, Expectation, RandomCuts, ScriptAction, ScriptItem } from './scenario.ts';
import type { ActionFile, EventFile, ExpectationFile, ScenarioFile } from './schema.ts';
import { patternWords } from './words.ts';

/** How long the power of a cycle is away where nothing else is said. */
const OFF_MS = 500;

export function itemsOf(items: ScenarioFile['script'], names: Names): ScriptItem[] {
  return items.map(({ on, nth, after, do: actions }, i) => {
    const path: ConfigPath = ['script', i];
    if (on === 'start' && nth !== 1) names.fault([...path, 'nth'], 'nothing, except beside an event');
    const each = Array.isArray(actions)
      ? actions.map((action, j) => actionOf(action, [...path, 'do', j], names))
      : [actionOf(actions, [...path, 'do'], names)];
    return { on: patternOf(on, [...path, 'on'], names), nth, afterMs: after, actions: each };
  });
}

export function patternOf(event: EventFile | 'start', path: ConfigPath, names: Names): EventPattern {
  if (event === 'start') return { words: 'start', path, node: undefined, what: { kind: 'start' } };
  const node = event.node === undefined ? undefined : names.node(event.node, path);
  const what = whatOf(event);
  return { words: patternWords({ node, what }), path, node, what };
}

function whatOf(event: EventFile): EventPattern['what'] {
  const { step, component, detail = {}, line, packet, write, stored, imager } = event;
  if (step !== undefined) {
    const texts = Object.entries(detail).map(([key, value]) => [key, String(value)]);
    return { kind: 'step', step, component, detail: Object.fromEntries(texts) };
  }
  if (line !== undefined) return { kind: 'line', line };
  if (packet !== undefined) return { kind: 'packet', packet };
  if (imager !== undefined) return { kind: 'imager', state: imager };
  return { kind: 'write', slot: write === 'any' ? undefined : write, stored };
}

function actionOf(file: ActionFile, path: ConfigPath, names: Names): ScriptAction {
  if (file.imager !== undefined) return { path, action: { kind: 'imager', imager: file.imager } };
  const node = names.node(file.node, path);
  if (file.power === 'cycle') {
    const later: RigAction = { kind: 'power', node, power: 'on' };
    return {
      path,
      action: { kind: 'power', node, power: 'cut' },
      later: { afterMs: file.off ?? OFF_MS, action: later },
    };
  }
  if (file.power !== undefined) return { path, action: { kind: 'power', node, power: file.power } };
  if (file.cable !== undefined) return { path, action: { kind: 'cable', node, cable: file.cable } };
  if (file.write !== undefined) {
    const { offset, hex } = file.write;
    return { path, action: { kind: 'write', node, offset, bytes: Uint8Array.from(Buffer.from(hex, 'hex')) } };
  }
  if (file.flash !== undefined) {
    names.image(file.flash.image, [...path, 'flash', 'image']);
    const disks = names.disks(file.flash.disks, node, [...path, 'flash']);
    return { path, action: { kind: 'flash', node, image: file.flash.image, disks } };
  }
  return { path, ...networkAction(file, node) };
}

/** A fault that has a duration heals by itself. */
function networkAction(file: ActionFile, node: string): Omit<ScriptAction, 'path'> {
  const heal: RigAction = { kind: 'network', node, network: 'heal' };
  if (file.network === 'heal') return { action: heal };
  const { traffic = 'all', by: delayMs = 0 } = file;
  const action: RigAction =
    file.network === 'drop'
      ? { kind: 'network', node, network: 'drop', traffic }
      : { kind: 'network', node, network: 'delay', traffic, delayMs };
  return { action, ...(file.for === undefined ? {} : { later: { afterMs: file.for, action: heal } }) };
}

/** At least one must be an event in order: the scenario ends with the last of them. */
export function expectationsOf({ expect, timeout }: ScenarioFile, names: Names): Expectation[] {
  if (expect.every(({ on }) => on === undefined))
    names.fault(['expect'], 'at least one event in order (on: ...): the scenario ends with the last');
  return expect.map((each, i) => expectationOf(each, ['expect', i], timeout, names));
}

function expectationOf(
  each: ExpectationFile,
  path: ConfigPath,
  timeoutMs: number,
  names: Names,
): Expectation {
  const { on, within = timeoutMs, once, never, count, times = 0, pointer, image } = each;
  if (on !== undefined) return { kind: 'event', on: patternOf(on, [...path, 'on'], names), withinMs: within };
  if (once !== undefined) return { kind: 'count', on: patternOf(once, [...path, 'once'], names), times: 1 };
  if (never !== undefined)
    return { kind: 'count', on: patternOf(never, [...path, 'never'], names), times: 0 };
  if (count !== undefined) return { kind: 'count', on: patternOf(count, [...path, 'count'], names), times };
  const node = names.node(each.node, path);
  if (pointer !== undefined) {
    const fields = Object.entries(pointer).filter(([, value]) => value !== undefined);
    return { kind: 'pointer', path: [...path, 'pointer'], node, fields: Object.fromEntries(fields) };
  }
  names.image(image!, [...path, 'image']);
  return { kind: 'image', path: [...path, 'image'], node, image: image! };
}

export function cutsOf(cuts: ScenarioFile['cuts'], names: Names): RandomCuts | undefined {
  if (cuts === undefined) return undefined;
  const [from, to] = cuts.between;
  return {
    node: names.node(cuts.node, ['cuts']),
    count: cuts.random,
    from: patternOf(from, ['cuts', 'between', 0], names),
    to: patternOf(to, ['cuts', 'between', 1], names),
    ...{ spreadMs: cuts.spread, offMs: cuts.off },
  };
}

/** Counts of bytes at which a write is to be told of, in ascending order. */
export function writeStopsOf(patterns: readonly EventPattern[]): number[] {
  const stops = patterns.flatMap(({ what }) =>
    what.kind === 'write' && what.stored !== undefined ? [what.stored] : [],
  );
  return [...new Set(stops)].sort((a, b) => a - b);
}
