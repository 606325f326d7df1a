/** The double reboot as a table of boots, and under power cuts at every point. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NoTransition, next } from '../../agent/core/next.ts';
import { advance, planFaults, remaining } from '../../agent/core/plan.ts';
import type { Boot, Effect, Input, Journal, State } from '../../agent/core/state.ts';
import type { Plan, Script } from '../../agent/protocol/messages.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';

const POINTER: BootPointer = {
  sequence: 7,
  image: 'alpha',
  disks: ['root-1'],
  imagers: ['10.77.0.1'],
  cluster: 'one',
  deployment: 'd1',
  phase: 'deploy',
  attempts: 2,
  fallback: '',
};

const script = (name: string, stage: 1 | 2, more: Partial<Script> = {}): Script => ({
  name,
  stage,
  content: '',
  timeoutSeconds: 5,
  run: 'once',
  onFailure: 'retry',
  ...more,
});

function planOf(scripts: Script[], secondReboot: boolean): Plan {
  return {
    deployment: 'd1',
    secondReboot,
    scripts,
    services: { init: ['/sbin/init'], ports: [80], timeoutSeconds: 5 },
  };
}

/** A node whose disk and EEPROM outlive its boots; the power may fail before any effect. */
class Node {
  stored: { journal: Journal; plan: Plan } | undefined;
  pointer: BootPointer;
  log: string[] = [];
  readonly reports: { step: string; detail: object }[] = [];
  boots = 0;
  readonly #plan: Plan | null;
  readonly #failing: ReadonlySet<string>;
  /** Scripts whose files are not the plan's. */
  changed: string[] = [];

  constructor(plan: Plan | null, pointer = POINTER, failing: string[] = []) {
    this.#plan = plan;
    this.pointer = pointer;
    this.#failing = new Set(failing);
  }

  /** One boot; `cut` counts the effects performed before the power fails. Gives how it ended. */
  boot(cut = Number.POSITIVE_INFINITY, facts: Partial<Boot> = {}): State | 'cut' {
    this.boots += 1;
    this.log.push(`boot ${this.boots}`);
    const boot: Boot = {
      bootId: `boot-${this.boots}`,
      pointer: this.pointer,
      bootedImage: this.pointer.image,
      firmwareCounts: true,
      ...facts,
    };
    let state: State = { at: 'starting' };
    let input: Input | undefined = { kind: 'started', boot };
    let left = cut;
    while (input !== undefined) {
      const transition: { state: State; effects: Effect[] } = next(state, input);
      state = transition.state;
      input = undefined;
      for (const effect of transition.effects) {
        if (left-- <= 0) return 'cut';
        input = this.#perform(effect);
        if (input?.kind === 'failed') break;
      }
    }
    return state;
  }

  #perform(effect: Effect): Input | undefined {
    switch (effect.do) {
      case 'report':
        this.log.push(effect.step);
        this.reports.push({ step: effect.step, detail: effect.detail });
        return undefined;
      case 'mount':
        return {
          kind: 'mounted',
          stored: this.stored?.journal.deployment === effect.pointer.deployment ? this.stored : undefined,
        };
      case 'ask':
        return { kind: 'plan', plan: this.#plan };
      case 'install':
        this.stored = { journal: effect.journal, plan: effect.plan };
        return { kind: 'installed' };
      case 'journal':
        this.stored = { ...this.stored!, journal: effect.journal };
        return undefined;
      case 'check':
        return this.changed.includes(effect.script.name)
          ? { kind: 'failed', why: `${effect.script.name} is changed` }
          : undefined;
      case 'script':
        this.log.push(`run ${effect.script.name}`);
        return this.#failing.has(effect.script.name)
          ? { kind: 'scriptFailed', why: 'exit 1' }
          : { kind: 'did', detail: {} };
      case 'network':
        this.log.push(`set ${effect.adapters.length}`);
        return {
          kind: 'networked',
          outcome: {
            set: [{ name: 'eth0', mac: '02:00:00:00:00:01', network: { address: '10.0.0.9', prefix: 24 } }],
            faults: ['no adapter has the address 02:00:00:00:00:02'],
          },
        };
      case 'services':
        this.log.push('serve');
        return { kind: 'did', detail: {} };
      case 'point':
        this.pointer = { ...effect.pointer, sequence: this.pointer.sequence + 1 };
        return undefined;
      case 'reboot':
        this.log.push('restart');
        return undefined;
    }
  }

  /** Boots until a boot does not end in a planned restart. */
  bootUntilSettled(): State | 'cut' {
    for (let i = 0; i < 10; i++) {
      const state = this.boot();
      if (state === 'cut' || state.at !== 'rebooting') return state;
    }
    throw new Error(`reboots for ever:\n${this.log.join('\n')}`);
  }
}

describe('the double reboot', () => {
  it('with a second reboot: stage 1 without services, then services, then stage 2 (seed 001)', () => {
    const node = new Node(planOf([script('10-a', 1), script('20-b', 1), script('30-c', 2)], true));
    expect(node.bootUntilSettled()).toEqual({ at: 'ready' });
    expect(node.log).toEqual([
      ...['boot 1', 'pointer', 'mounted', 'plan', 'installed', 'reboot', 'restart'],
      ...['boot 2', 'pointer', 'mounted', 'run 10-a', 'stage1', 'run 20-b', 'stage1', 'reboot', 'restart'],
      ...['boot 3', 'pointer', 'mounted', 'serve', 'services', 'run 30-c', 'stage2', 'ready'],
    ]);
    expect(node.pointer).toMatchObject({ phase: 'ready', attempts: 3, fallback: 'alpha' });
  });

  it('without a second reboot the first one starts services and runs stage 2', () => {
    const node = new Node(planOf([script('30-c', 2)], false));
    expect(node.bootUntilSettled()).toEqual({ at: 'ready' });
    expect(node.boots).toBe(2);
    expect(node.log.slice(-6)).toEqual(['mounted', 'serve', 'services', 'run 30-c', 'stage2', 'ready']);
  });

  it('without user configuration: one reboot and run', () => {
    const node = new Node(planOf([], false));
    node.bootUntilSettled();
    expect(node.log.filter((line) => line === 'restart')).toHaveLength(1);
    expect(node.log.at(-1)).toBe('ready');
  });

  it('a second reboot is made even where stage 1 has no script, once', () => {
    const node = new Node(planOf([script('30-c', 2)], true));
    expect(node.bootUntilSettled()).toEqual({ at: 'ready' });
    expect(node.boots).toBe(3);
  });

  it('a node that is ready starts its services and runs nothing again', () => {
    const node = new Node(planOf([script('30-c', 2)], true));
    node.bootUntilSettled();
    node.log.length = 0;
    expect(node.boot()).toEqual({ at: 'ready' });
    expect(node.log).toEqual(['boot 4', 'pointer', 'mounted', 'serve', 'services', 'ready']);
  });

  it('adapters are set in each boot that goes on with a deployment, before all else; what fails of it stops nothing', () => {
    const node = new Node({
      ...planOf([script('10-a', 1)], true),
      adapters: [{ setMac: '02:00:00:00:00:01' }],
    });
    expect(node.bootUntilSettled()).toEqual({ at: 'ready' });
    const set = ['set 1', 'network', 'network-failed'];
    expect(node.log).toEqual([
      ...['boot 1', 'pointer', 'mounted', 'plan', 'installed', 'reboot', 'restart'],
      ...['boot 2', 'pointer', 'mounted', ...set, 'run 10-a', 'stage1', 'reboot', 'restart'],
      ...['boot 3', 'pointer', 'mounted', ...set, 'serve', 'services', 'ready'],
    ]);
    expect(node.reports.filter(({ step }) => step.startsWith('network')).slice(-2)).toEqual([
      { step: 'network', detail: { adapter: 'eth0', mac: '02:00:00:00:00:01', address: '10.0.0.9/24' } },
      { step: 'network-failed', detail: { why: 'no adapter has the address 02:00:00:00:00:02' } },
    ]);
    node.log.length = 0;
    node.boot();
    expect(node.log).toEqual(['boot 4', 'pointer', 'mounted', ...set, 'serve', 'services', 'ready']);
  });

  it('another deployment begins from the start on the same disk', () => {
    const node = new Node({ ...planOf([script('30-c', 2)], true), deployment: 'd2' });
    node.stored = {
      journal: { deployment: 'd1', phase: 'ready', bootId: 'old', done: ['30-c'], failed: [] },
      plan: planOf([], true),
    };
    node.pointer = { ...POINTER, deployment: 'd2' };
    expect(node.bootUntilSettled()).toEqual({ at: 'ready' });
    expect(node.boots).toBe(3);
  });

  it('attempts are renewed before each planned reboot', () => {
    const node = new Node(planOf([script('10-a', 1)], true));
    node.boot();
    expect(node.pointer.attempts).toBe(3);
  });

  it('ends where it should after a power cut before any effect of any boot', () => {
    const scripts = [script('10-a', 1), script('20-b', 1), script('30-c', 2), script('40-d', 2)];
    fc.assert(
      fc.property(fc.array(fc.nat(14), { maxLength: 12 }), fc.boolean(), (cuts, secondReboot) => {
        const used = secondReboot ? scripts : scripts.filter(({ stage }) => stage === 2);
        const node = new Node(planOf(used, secondReboot));
        for (const cut of cuts) node.boot(cut);
        node.bootUntilSettled();
        const runs = node.log.filter((line) => line.startsWith('run '));
        const firstServe = node.log.indexOf('serve');
        const stage1 = runs.filter((line) => line === 'run 10-a' || line === 'run 20-b');
        expect(node.stored?.journal.phase).toBe('ready');
        expect(new Set(runs).size).toBe(used.length);
        for (const line of stage1) expect(node.log.lastIndexOf(line)).toBeLessThan(firstServe);
        expect(node.pointer.phase).toBe('ready');
      }),
    );
  });
});

describe('when something fails', () => {
  const failing = ['10-a'];
  const plan = planOf([script('10-a', 1)], true);

  it('stays up for investigation where there is nothing to fall back to', () => {
    const node = new Node(plan, POINTER, failing);
    expect(node.bootUntilSettled()).toEqual({ at: 'failed', why: 'exit 1' });
  });

  it('boots again where the firmware counts attempts and has a fallback', () => {
    const node = new Node(plan, { ...POINTER, fallback: 'old' }, failing);
    node.boot();
    expect(node.boot()).toMatchObject({ at: 'rebooting', why: 'exit 1' });
    expect(node.log.slice(-2)).toEqual(['retry', 'restart']);
    expect(node.boot(undefined, { firmwareCounts: false })).toEqual({ at: 'failed', why: 'exit 1' });
  });

  it('does not call the pointed image ready where the fallback runs', () => {
    const node = new Node(planOf([], false), { ...POINTER, fallback: 'old', attempts: 0 });
    node.boot(undefined, { bootedImage: 'old' });
    expect(node.boot(undefined, { bootedImage: 'old' })).toEqual({ at: 'ready' });
    expect(node.pointer).toMatchObject({ phase: 'deploy', attempts: 0, fallback: 'old' });
  });

  it('without a pointer, without a plan', () => {
    expect(new Node(null).bootUntilSettled()).toMatchObject({
      at: 'failed',
      why: expect.stringContaining('no plan'),
    });
    const state = new Node(plan).boot(undefined, { pointer: undefined });
    expect(state).toMatchObject({ at: 'failed', why: 'the EEPROM holds no boot pointer' });
  });

  it('refuses plans it cannot follow', () => {
    expect(planFaults(planOf([script('../x', 1)], true), 'd1')).toEqual(['script "../x" is not a name']);
    expect(planFaults(planOf([script('a', 1)], false), 'd1')).toEqual([
      'script a is of stage 1, which needs the second reboot',
    ]);
    expect(planFaults(planOf([script('a', 2), script('a', 2)], false), 'd2')).toEqual([
      'plan is for deployment d1, the pointer says d2',
      'script a is named twice',
    ]);
  });

  it('an input without a transition is an error', () => {
    expect(() => next({ at: 'starting' }, { kind: 'installed' })).toThrow(NoTransition);
    expect(() => next({ at: 'failed', why: '' }, { kind: 'installed' })).toThrow(NoTransition);
    expect(next({ at: 'ready' }, { kind: 'failed', why: 'no EEPROM' }).state).toEqual({
      at: 'failed',
      why: 'no EEPROM',
    });
  });
});

describe('a script that fails', () => {
  const of = (onFailure: Script['onFailure'], pointer = POINTER, stage: 1 | 2 = 1) =>
    new Node(planOf([script('10-a', stage, { onFailure }), script('20-b', stage)], true), pointer, ['10-a']);
  const NEW = { ...POINTER, image: 'beta', fallback: 'alpha' };

  it('continue: noted, and on; ready says which; it runs again in the next boot, a good one does not', () => {
    const node = of('continue');
    expect(node.bootUntilSettled()).toEqual({ at: 'ready' });
    expect(node.log.filter((line) => /^(?:run|serve|boot|restart)/.test(line))).toEqual([
      ...['boot 1', 'restart', 'boot 2', 'run 10-a', 'run 20-b', 'restart'],
      ...['boot 3', 'run 10-a', 'serve'],
    ]);
    expect(node.reports.at(-1)).toEqual({ step: 'ready', detail: { image: 'alpha', failed: '10-a' } });
    expect(node.stored?.journal).toMatchObject({ phase: 'ready', done: ['20-b'], failed: ['10-a'] });
  });

  it('of very many that were let pass, ready names the first and says how many more there are', () => {
    const names = Array.from({ length: 100 }, (_, i) => `${String(i).padStart(3, '0')}-${'x'.repeat(59)}`);
    const scripts = names.map((name) => script(name, 2, { onFailure: 'continue' }));
    const node = new Node(planOf(scripts, false), POINTER, names);
    node.bootUntilSettled();
    const { failed = '' } = node.reports.at(-1)!.detail as { failed?: string };
    expect(failed).toBe(`${names.slice(0, 32).join(',')} and 68 more`);
    expect(failed.length).toBeLessThan(4096);
  });

  it('stop: the node stays up, and nothing more is done, whatever there is to fall back to', () => {
    for (const stage of [1, 2] as const) {
      const node = of('stop', NEW, stage);
      expect(node.bootUntilSettled()).toEqual({ at: 'failed', why: 'exit 1' });
      expect(node.log.slice(-3)).toEqual(['run 10-a', 'script-failed', 'failed']);
      expect(node.log.includes('serve')).toBe(stage === 2);
      expect(node.pointer).toMatchObject({ image: 'beta', phase: 'deploy' });
    }
  });

  it('fall-back: the firmware is told that no attempt is left', () => {
    const node = of('fall-back', NEW);
    node.boot();
    expect(node.boot()).toMatchObject({ at: 'rebooting', why: 'exit 1' });
    expect(node.log.slice(-3)).toEqual(['script-failed', 'fall-back', 'restart']);
    expect(node.pointer).toMatchObject({ image: 'beta', attempts: 0, fallback: 'alpha' });
    expect(node.reports.at(-1)?.detail).toEqual({ image: 'alpha', why: 'exit 1' });
  });

  it('fall-back without anything to fall back to is as any failure', () => {
    expect(of('fall-back').bootUntilSettled()).toMatchObject({ at: 'failed' });
    const own = of('fall-back', { ...POINTER, fallback: 'alpha', attempts: 1 });
    own.boot();
    expect(own.boot().at).toBe('rebooting');
    expect(own.log.slice(-2)).toEqual(['retry', 'restart']);
    own.pointer = { ...own.pointer, attempts: 0 };
    expect(own.boot()).toMatchObject({ at: 'failed' });
  });

  it('is known to have been cut short, and runs again', () => {
    const node = of('continue');
    node.boot();
    // pointer, mount, mounted, outputs, check, journal: cut as the script begins.
    node.boot(6);
    expect(node.stored?.journal).toMatchObject({ running: '10-a' });
    node.boot();
    expect(node.log.slice(node.log.lastIndexOf('boot 3'))).toEqual([
      ...['boot 3', 'pointer', 'mounted', 'cut-short', 'run 10-a', 'script-failed'],
      ...['run 20-b', 'stage1', 'reboot', 'restart'],
    ]);
    expect(node.stored?.journal.running).toBeUndefined();
  });

  it('was not cut short where it was never begun: its file is not what was installed', () => {
    const node = new Node(planOf([script('10-a', 1)], true), { ...POINTER, fallback: 'old' });
    node.boot();
    node.changed = ['10-a'];
    for (let i = 0; i < 3; i++) node.boot();
    const boot = ['pointer', 'mounted', 'retry', 'restart'];
    expect(node.log.slice(node.log.indexOf('boot 2'))).toEqual([
      ...['boot 2', ...boot, 'boot 3', ...boot, 'boot 4', ...boot],
    ]);
    expect(node.reports.at(-1)?.detail).toEqual({ why: '10-a is changed' });
    expect(node.stored?.journal).not.toHaveProperty('running');
    node.changed = [];
    expect(node.bootUntilSettled()).toEqual({ at: 'ready' });
  });

  it('always: in each boot from its stage on, of stage 1 before services', () => {
    const always = { run: 'always' } as const;
    const node = new Node(
      planOf([script('10-a', 1, always), script('50-b', 2, always), script('60-c', 2)], true),
    );
    expect(node.bootUntilSettled()).toEqual({ at: 'ready' });
    expect(node.boot()).toEqual({ at: 'ready' });
    expect(node.log.filter((line) => /^(?:run|serve|boot|restart)/.test(line))).toEqual([
      ...['boot 1', 'restart', 'boot 2', 'run 10-a', 'restart'],
      ...['boot 3', 'run 10-a', 'serve', 'run 50-b', 'run 60-c'],
      ...['boot 4', 'run 10-a', 'serve', 'run 50-b'],
    ]);
  });
});

describe('remaining', () => {
  it('a reboot is recognised by the boot id alone', () => {
    const plan = planOf([script('10-a', 1)], true);
    const journal: Journal = { deployment: 'd1', phase: 'installed', bootId: 'b1', done: [], failed: [] };
    expect(remaining(plan, journal, 'b1').map((todo) => todo.do)).toEqual([
      ...['reboot', 'script', 'reboot', 'services', 'ready'],
    ]);
    expect(remaining(plan, journal, 'b2')[0]).toMatchObject({ do: 'script' });
    const configured = advance(journal, { do: 'reboot', number: 2 }, 'b2');
    expect(configured).toMatchObject({ phase: 'configured', bootId: 'b2' });
    expect(remaining(plan, configured, 'b2')[0]).toEqual({ do: 'reboot', number: 2 });
    expect(remaining(plan, { ...configured, done: ['10-a'] }, 'b3')[0]).toEqual({ do: 'services' });
  });
});
