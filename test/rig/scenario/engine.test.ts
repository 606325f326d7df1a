/** The engine in virtual time: when actions come, and what is said of what did not. */
import { describe, expect, it } from 'vitest';
import type { RigAction } from '../../../firmware-stubs/rig/scenario/action.ts';
import type { RigEvent } from '../../../firmware-stubs/rig/scenario/event.ts';
import { parseScenario } from '../../../firmware-stubs/rig/scenario/load.ts';
import type { ScenarioResult } from '../../../firmware-stubs/rig/scenario/result.ts';
import { runScenario } from '../../../firmware-stubs/rig/scenario/run.ts';
import { eventsOf, ScriptedRig } from './scripted-rig.ts';
import { HEAD_LINES, scenarioOf, scenarioText } from './texts.ts';

const START = '  - { on: start, do: { power: on } }\n';

function run(script: string, expected: string, rig: ScriptedRig, seed = 1): Promise<ScenarioResult> {
  const scenario = scenarioOf(`script:\n${script}expect:\n${expected}`);
  const quiet = { say: () => {}, progress: () => {} };
  return runScenario(scenario, rig.kind, { id: 'a', dir: '/nonexistent', seed, ...quiet });
}

describe('actions', () => {
  it('come at the events they hang on, each once', async () => {
    const rig = new ScriptedRig(
      eventsOf(`1 step firmware load
        2 step firmware load
        3 step firmware load
        4 line half way
        5 write 1
        9 step agent ready`),
    );
    const result = await run(
      `${START}  - { on: { step: load }, nth: 2, do: { power: cut } }
  - { on: { line: ^half }, after: 300ms, do: [{ cable: pull }, { network: drop, for: 2s }] }
  - { on: { write: 1 }, do: { imager: kill } }
  - { on: start, after: 8s, do: { flash: { image: broken } } }
`,
      '  - { on: { step: ready } }\n',
      rig,
    );
    expect(result).toMatchObject({ ok: true, ms: 9000, failures: [] });
    expect(rig.done).toEqual([
      '0 power on, n1',
      '2 power cut, n1',
      '4.3 serial cable of n1: pull',
      '4.3 network of n1 drops all',
      '5 imager kill',
      '6.3 network of n1 heals',
      '8 flash n1: image broken, disks n1-root',
    ]);
    expect(rig.closed).toBe(true);
  });

  it('what follows an action counts from its end', async () => {
    const rig = new ScriptedRig(eventsOf('1 step firmware load\n3 step agent ready'));
    await run(
      '  - { on: { step: load }, do: { power: cycle, off: 250ms } }\n',
      '  - { on: { step: ready } }\n',
      rig,
    );
    expect(rig.done).toEqual(['1 power cut, n1', '1.25 power on, n1']);
  });

  it('those that are due are waited for, though all has come that is expected', async () => {
    const rig = new ScriptedRig(eventsOf('1 step agent ready'));
    const result = await run(
      '  - { on: { step: ready }, after: 5s, do: { power: cut } }\n',
      '  - { on: { step: ready } }\n',
      rig,
    );
    expect(result).toMatchObject({ ok: true, ms: 6000 });
    expect(rig.done).toEqual(['6 power cut, n1']);
  });

  it('the timeout ends it: what is due later is a failure', async () => {
    const rig = new ScriptedRig(eventsOf('1 step agent ready'));
    const result = await run(
      `  - { on: { step: ready }, after: 60s, do: { power: cut } }
  - { on: { step: ready }, do: { network: drop, for: 2m } }
`,
      '  - { on: { step: ready } }\n',
      rig,
    );
    expect(rig.done).toEqual(['1 network of n1 drops all']);
    const late = { came: 'not done', at: 60_000, node: 'n1', line: 2 };
    expect(result.failures).toMatchObject([
      { expected: "power cut, n1 at 61 s, before the scenario's timeout", ...late },
      { expected: "network of n1 heals at 121 s, before the scenario's timeout", ...late },
    ]);
  });

  it('an event the script waits for in vain is a failure', async () => {
    const rig = new ScriptedRig(eventsOf('1 step firmware load\n2 step agent ready'));
    const result = await run(
      '  - { on: { step: load }, nth: 2, do: { power: cut } }\n',
      '  - { on: { step: ready } }\n',
      rig,
    );
    expect(result.failures).toMatchObject([
      { expected: 'step load, number 2: the script waits for it', came: '1', line: HEAD_LINES + 2 },
    ]);
  });
});

describe('expectations', () => {
  const events = () =>
    eventsOf(`1 step firmware boot image=alpha
      2 step agent mounted
      3 step agent stage1 script=a
      4 step agent stage1 script=b
      5 step agent ready`);
  const failure = async (expected: string, rig = new ScriptedRig(events())) =>
    (await run(START, expected, rig)).failures;

  it('in order and in time', async () => {
    const steps = '  - { on: { step: mounted }, within: 2s }\n  - { on: { step: ready }, within: 3s }\n';
    expect(await failure(steps)).toEqual([]);
  });

  it('in another order', async () => {
    const steps =
      '  - { on: { step: stage1, detail: { script: b } } }\n  - { on: { step: mounted }, within: 10s }\n';
    expect(await failure(steps)).toMatchObject([
      {
        expected: 'step mounted within 10 s of step stage1 script=b',
        came: '5 s n1 agent ready',
        ...{ at: 14_000, line: HEAD_LINES + 5 },
      },
    ]);
  });

  it('a deadline is the last moment: what comes then is in time, what comes later is not', async () => {
    expect(await failure('  - { on: { step: mounted }, within: 2s }\n')).toEqual([]);
    expect(await failure('  - { on: { step: mounted }, within: 1.999s }\n')).toMatchObject([
      {
        expected: 'step mounted within 1.999 s of the start',
        came: '1 s n1 firmware boot image=alpha',
        at: 1999,
      },
    ]);
  });

  it('nothing at all ends with the timeout', async () => {
    expect(await failure('  - { on: { line: never } }\n')).toMatchObject([
      { expected: 'line /never/ within 60 s of the start', came: 'nothing of its kind', at: 60_000 },
    ]);
  });

  it('never: fails as soon as it comes', async () => {
    const [found] = await failure('  - { on: { step: ready } }\n  - { never: { step: stage1 } }\n');
    expect(found).toMatchObject({
      expected: 'step stage1 never',
      came: 'once, at 3 s: n1 agent stage1 script=a',
      at: 3000,
    });
  });

  it('once and so many times: too many fail at once, too few in the end', async () => {
    const ready = '  - { on: { step: ready } }\n';
    expect(await failure(`${ready}  - { count: { step: stage1 }, times: 2 }\n`)).toEqual([]);
    expect(await failure(`${ready}  - { once: { step: stage1 } }\n`)).toMatchObject([
      { at: 4000, expected: 'step stage1 once' },
    ]);
    expect(await failure(`${ready}  - { count: { step: stage1 }, times: 3 }\n`)).toMatchObject([
      { at: 5000, expected: 'step stage1 3 times', came: '2 times' },
    ]);
  });

  it('in the end: the image that was booted last, and the pointer', async () => {
    const ready = '  - { on: { step: ready } }\n';
    const rig = () => new ScriptedRig(events(), () => [], { image: 'broken', phase: 'deploy', attempts: 0 });
    expect(
      await failure(`${ready}  - { image: alpha }\n  - { pointer: { image: broken, attempts: 0 } }\n`, rig()),
    ).toEqual([]);
    expect(
      await failure(
        `${ready}  - { image: broken }\n  - { pointer: { image: alpha, phase: ready, attempts: 0 } }\n`,
        rig(),
      ),
    ).toMatchObject([
      { expected: 'image broken booted last by n1', came: 'alpha' },
      { expected: 'pointer with image alpha, phase ready', came: 'image broken, phase deploy' },
    ]);
  });

  it('a rig that cannot go on is told with what it said, and closed', async () => {
    const rig = new ScriptedRig(events());
    rig.perform = () => Promise.reject(new Error('no power in this house'));
    const result = await run(START, '  - { on: { step: ready } }\n', rig);
    expect(result).toMatchObject({ ok: false, error: 'no power in this house' });
    expect(rig.closed).toBe(true);
  });
});

describe('random cuts', () => {
  /** A node that is ready five seconds after each power-on. */
  const booting = () =>
    new ScriptedRig([], (action: RigAction, now: number): RigEvent[] =>
      action.kind === 'power' && action.power === 'on'
        ? eventsOf(`${now / 1000} step rig power-on\n${now / 1000 + 5} step agent ready`)
        : [],
    );
  const cut = async (seed: number, spread: string, count = 3) => {
    const rig = booting();
    const scenario = scenarioOf(
      `script:\n${START}expect:\n  - { count: { step: power-on }, times: ${count + 1} }\n  - { on: { step: power-on } }\n` +
        `  - { on: { step: power-on } }\n  - { on: { step: ready } }\ncuts: { random: ${count}, between: [{ step: power-on }, { step: ready }], spread: ${spread} }\n`,
    );
    const quiet = { say: () => {}, progress: () => {} };
    return {
      rig,
      result: await runScenario(scenario, rig.kind, { id: 'a', dir: '/nonexistent', seed, ...quiet }),
    };
  };

  it('are as many as asked for, at moments that the seed repeats', async () => {
    const [one, again, other] = await Promise.all([cut(1, '1s'), cut(1, '1s'), cut(2, '1s')]);
    expect(one.rig.done.filter((words) => words.endsWith('power cut, n1'))).toHaveLength(3);
    expect(one.result.cuts.map(({ outcome }) => outcome)).toEqual(['cut', 'cut', 'cut']);
    expect(one.result.cuts.every(({ afterMs }) => afterMs >= 0 && afterMs < 1000)).toBe(true);
    expect(again.rig.done).toEqual(one.rig.done);
    expect(other.rig.done).not.toEqual(one.rig.done);
  });

  it('a window that closes first spends its draw', async () => {
    const { result } = await cut(3, '1000s', 1);
    expect(result.cuts[0]?.outcome).toBe('spent');
    expect(result.actions.map(({ words }) => words)).toEqual(['power on, n1']);
  });

  it('power that goes by itself meanwhile spends the draw: it stays off', async () => {
    const rig = new ScriptedRig(eventsOf('1 step rig power-on\n1 step rig off\n2000 step agent ready'));
    const result = await run(
      START,
      '  - { on: { step: ready }, within: 50m }\ncuts: { random: 1, between: [{ step: power-on }, { step: ready }], spread: 10s }\n',
      rig,
    );
    expect(result.cuts.map(({ outcome }) => outcome)).toEqual(['spent']);
    expect(rig.done).toEqual(['0 power on, n1']);
  });
});

describe('two nodes that are ready in any order, as the README says it', () => {
  const text = scenarioText(`script:
${START.replace('do: {', 'do: { node: n1,')}expect:
  - { on: { step: ready }, within: 30s }
  - { on: { step: ready }, within: 20s }
  - { once: { step: ready, node: n1 } }
  - { once: { step: ready, node: n2 } }
`).replace('imager:', '  - { name: n2, rig: arm64, mac: "52:54:00:77:00:12", uid: "serial:2" }\nimager:');

  it.each([
    [['n1', 'n2'], true],
    [['n2', 'n1'], true],
    [['n2', 'n2'], false],
  ])('%j: %j', async (nodes, ok) => {
    const ready = eventsOf('1 step agent ready\n2 step agent ready');
    const rig = new ScriptedRig(ready.map((event, i) => ({ ...event, node: nodes[i]! })));
    const quiet = { say: () => {}, progress: () => {} };
    const scenario = parseScenario(text, 'a.yaml');
    const options = { id: 'a', dir: '/nonexistent', seed: 1, ...quiet };
    expect((await runScenario(scenario, rig.kind, options)).ok).toBe(ok);
  });
});
