/**
 * The double reboot in every world that a node can come to: what the agent and its firmware decide, with the power cut, the imager
 * gone and back, a script failed, between any two things they do, any number of times, from the first deployment's power-on to the
 * second's `ready`. `exhaustive/observer.ts` says what must hold; beyond that every world leads on by itself, to `ready` or to where a
 * node may stay. BOOTWRIGHT_MODEL=all (`make proofs`): more variants, and plans of six scripts.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { explore } from './exhaustive/explore.ts';
import type { ModelScript, Variant } from './exhaustive/world.ts';

const script = (name: string, stage: 1 | 2, more: Partial<ModelScript> = {}): ModelScript => ({
  ...{ name, stage, content: '', timeoutSeconds: 1, run: 'once', onFailure: 'retry' },
  ...more,
});
const POLICIES = ['retry', 'fall-back', 'stop', 'continue'] as const;

const usual = { secondReboot: true, second: 'beta' } as const;
const always = { run: 'always' } as const;
const SCRIPTS = [script('a', 1), script('b', 1, always), script('c', 2), script('d', 2, always)];

const SIX = [...SCRIPTS.slice(0, 2), script('e', 1), ...SCRIPTS.slice(2), script('g', 2)];
/** Where a failure ends nothing, six have more worlds than fit into memory. */
const MANY: Partial<Record<string, ModelScript[]>> = { continue: SCRIPTS };

/** One script that may fail, beside one of its stage and one of the other. */
const failing = (stage: 1 | 2, more: Partial<ModelScript>): ModelScript[] => [
  ...(stage === 1 ? [script('f', 1, more), script('b', 1)] : [script('a', 1)]),
  ...(stage === 2 ? [script('f', 2, more), script('d', 2)] : [script('c', 2)]),
];

/** Those after the first of each kind are for `make proofs` alone. */
const VARIANTS: [string, Variant][] = [
  ['a second reboot', { ...usual, scripts: SCRIPTS }],
  [
    'no second reboot',
    { ...usual, secondReboot: false, scripts: SCRIPTS.filter(({ stage }) => stage === 2) },
  ],
  ['no scripts', { ...usual, scripts: [] }],
  ['flashed at any time', { ...usual, flash: 'any', scripts: [script('a', 1), script('c', 2)] }],
  [
    'an image whose kernel finds no agent',
    { ...usual, broken: true, scripts: [script('a', 1), script('c', 2)] },
  ],
  [
    'a script of the second is not what was installed',
    { ...usual, scripts: [script('a', 1), script('f', 1, { fails: 'changed' }), script('c', 2)] },
  ],
  ...POLICIES.flatMap((onFailure): [string, Variant][] => [
    [
      `a script of stage 1 may fail: ${onFailure}`,
      { ...usual, scripts: failing(1, { fails: 'may', onFailure }) },
    ],
    [
      `one that runs always may fail in stage 2: ${onFailure}`,
      { ...usual, scripts: failing(2, { ...always, fails: 'may', onFailure }) },
    ],
    [
      `one of stage 2 fails with the new image alone: ${onFailure}`,
      { ...usual, scripts: failing(2, { fails: 'on-beta', onFailure }) },
    ],
    [
      `one of the second fails in each run, and the image is its own fallback: ${onFailure}`,
      { ...usual, second: 'alpha', scripts: failing(2, { fails: 'in-second', onFailure }) },
    ],
    [
      `one may fail, and the firmware counts nothing: ${onFailure}`,
      { ...usual, uncounted: true, scripts: failing(1, { fails: 'may', onFailure }) },
    ],
  ]),
];
if (process.env.BOOTWRIGHT_MODEL === 'all')
  VARIANTS.push(
    ...POLICIES.flatMap((onFailure): [string, Variant][] => [
      [
        `a script of stage 2 may fail: ${onFailure}`,
        { ...usual, scripts: failing(2, { fails: 'may', onFailure }) },
      ],
      [
        `one that runs always may fail in stage 1: ${onFailure}`,
        { ...usual, scripts: failing(1, { ...always, fails: 'may', onFailure }) },
      ],
      [
        `one of stage 1 fails with the new image alone: ${onFailure}`,
        { ...usual, scripts: failing(1, { fails: 'on-beta', onFailure }) },
      ],
      [
        `one may fail, and it is flashed at any time: ${onFailure}`,
        { ...usual, flash: 'any', scripts: failing(1, { fails: 'may', onFailure }) },
      ],
      [
        `each may fail: ${onFailure}`,
        { ...usual, scripts: (MANY[onFailure] ?? SIX).map((one) => ({ ...one, fails: 'may', onFailure })) },
      ],
    ]),
  );

let total = { states: 0, transitions: 0 };
afterAll(() => console.log(`${total.states} states, ${total.transitions} transitions`));

describe('every world', () => {
  it.each(VARIANTS)('%s', (name, variant) => {
    const { states, transitions } = explore(variant);
    console.log(`${name}: ${states} states, ${transitions} transitions`);
    total = { states: total.states + states, transitions: total.transitions + transitions };
    expect(states).toBeGreaterThan(1000);
  });
});
