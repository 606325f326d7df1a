/** The loop over a real pointer store: what is written to it in which boot. */
import { describe, expect, it } from 'vitest';
import { run } from '../../agent/core/run.ts';
import type { Boot, Journal } from '../../agent/core/state.ts';
import { pointersOf } from '../../agent/linux/eeprom.ts';
import type { Ports } from '../../agent/ports.ts';
import type { Plan } from '../../agent/protocol/messages.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { type Eeprom, PointerStore } from '../../agent/protocol/pointer/store.ts';
import { ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';

const TARGET: Omit<BootPointer, 'sequence'> = {
  image: 'alpha',
  disks: ['root'],
  imagers: ['10.77.0.1'],
  cluster: 'one',
  deployment: 'd1',
  phase: 'deploy',
  attempts: 2,
  fallback: '',
};

const PLAN: Plan = {
  deployment: 'd1',
  secondReboot: false,
  scripts: [{ name: '50-a', stage: 2, content: '', timeoutSeconds: 1, run: 'once', onFailure: 'retry' }],
  services: { init: ['/sbin/init'], ports: [], timeoutSeconds: 1 },
};

const ENDED = { code: 0, timedOut: false, output: '' };

function memoryStore(): PointerStore {
  const bytes = new Uint8Array(ubootEnv.size);
  const eeprom: Eeprom = {
    read: (offset, length) => bytes.slice(offset, offset + length),
    write: (offset, patch) => bytes.set(patch, offset),
  };
  return new PointerStore(ubootEnv, eeprom);
}

/** A second boot of the deployment: services, stage 2, ready. */
async function boot(
  store: PointerStore,
  during: Partial<Ports['scripts']> = {},
  more: { plan?: Plan; write?: (journal: Journal) => void; keep?: () => void } = {},
) {
  const { plan = PLAN, write = () => {}, keep = () => {} } = more;
  const reports: string[] = [];
  const told: string[] = [];
  const said: string[] = [];
  const written: string[] = [];
  const left: string[] = [];
  const journal: Journal = { deployment: 'd1', phase: 'installed', bootId: 'b1', done: [], failed: [] };
  const ports: Ports = {
    disks: { async mountRoot() {} },
    network: { set: async () => ({ set: [], faults: [] }) },
    journal: { read: () => ({ journal, plan }), install() {}, write },
    scripts: { check() {}, run: async () => ENDED, ...during },
    outputs: { keep, kept: () => [] },
    services: { start: async () => undefined },
    link: {
      plan: async () => PLAN,
      report(step, detail) {
        reports.push(step);
        told.push(`${step} ${detail.why ?? ''}`);
      },
      output: ({ script, code }) => void left.push(`${script} ${code}`),
      async settle() {},
    },
    pointers: pointersOf(store, (pointer) => void written.push(pointer.phase)),
    power: { reboot() {} },
    console: (line) => void said.push(line),
    uptime: () => 0,
  };
  const facts: Boot = {
    bootId: 'b2',
    pointer: store.read().pointer,
    bootedImage: 'alpha',
    firmwareCounts: true,
  };
  return { state: await run(ports, facts), reports, told, said, written, left };
}

describe('a boot that gets ready', () => {
  it('marks its pointer', async () => {
    const store = memoryStore();
    store.write(TARGET);
    const { state, written } = await boot(store);
    expect(state).toEqual({ at: 'ready' });
    expect(written).toEqual(['ready']);
    expect(store.read().pointer).toMatchObject({
      image: 'alpha',
      phase: 'ready',
      fallback: 'alpha',
      attempts: 3,
    });
  });

  it('leaves a pointer alone that the node was flashed with meanwhile', async () => {
    const store = memoryStore();
    store.write(TARGET);
    const flashed = { ...TARGET, image: 'beta', deployment: 'd2', attempts: 3 };
    const run = async () => {
      store.write(flashed);
      return ENDED;
    };
    expect((await boot(store, { run })).state).toEqual({ at: 'ready' });
    expect(store.read().pointer).toMatchObject({ image: 'beta', deployment: 'd2', phase: 'deploy' });
  });

  it('a port that throws fails the boot with its words', async () => {
    const store = memoryStore();
    store.write(TARGET);
    const run = async () => {
      throw new Error('no shell');
    };
    const { state, reports } = await boot(store, { run });
    expect(state).toEqual({ at: 'failed', why: 'script: no shell' });
    expect(reports.at(-1)).toBe('failed');
    expect(store.read().pointer).toMatchObject({ phase: 'deploy' });
  });
});

it('a script whose file is not what was installed is not noted as begun', async () => {
  const store = memoryStore();
  store.write(TARGET);
  const written: Journal[] = [];
  const check = () => {
    throw new Error('tampered');
  };
  const { state } = await boot(store, { check }, { write: (journal) => void written.push(journal) });
  expect(state).toEqual({ at: 'failed', why: 'check: tampered' });
  expect(written.filter(({ running }) => running !== undefined)).toEqual([]);
});

describe('a script that fails', () => {
  const FAILS = { run: async () => ({ code: 3, timedOut: false, output: 'token\n\x1b[1msecret\n' }) };
  const planOf = (onFailure: Plan['scripts'][number]['onFailure']): Plan => ({
    ...PLAN,
    scripts: [{ ...PLAN.scripts[0]!, onFailure }],
  });

  it('its words are for the console alone', async () => {
    const store = memoryStore();
    store.write(TARGET);
    const { told, said } = await boot(store, FAILS);
    expect(told.slice(-2)).toEqual(['script-failed script 50-a: exit 3', 'failed script 50-a: exit 3']);
    expect(said).toEqual(['script 50-a: exit 3; token |  [1msecret']);
  });

  /** The journal that says how the script ended, and each after it, find no room. */
  const fullDisk = () => (journal: Journal) => {
    if (journal.failed.length > 0) throw new Error('ENOSPC');
  };

  it.each(['stop', 'retry', 'fall-back', 'continue'] as const)(
    'and whose end finds no room on the disk: %s, and its why is told',
    async (onFailure) => {
      const store = memoryStore();
      store.write({ ...TARGET, fallback: 'old' });
      const { state, told } = await boot(store, FAILS, { plan: planOf(onFailure), write: fullDisk() });
      const why = 'script 50-a: exit 3; journal: ENOSPC';
      expect(told.at(-1)).toBe(
        {
          stop: `failed ${why}`,
          retry: `retry ${why}`,
          'fall-back': `fall-back ${why}`,
          continue: 'failed journal: ENOSPC',
        }[onFailure],
      );
      expect(state.at).toBe(['stop', 'continue'].includes(onFailure) ? 'failed' : 'rebooting');
      expect(store.read().pointer?.attempts).toBe(onFailure === 'fall-back' ? 0 : 2);
    },
  );

  it.each([
    ['stop', 'failed script 50-a: exit 3', 'failed'],
    ['retry', 'retry script 50-a: exit 3', 'rebooting'],
    ['fall-back', 'fall-back script 50-a: exit 3', 'rebooting'],
    ['continue', 'ready ', 'ready'],
  ] as const)('and whose output finds no room on the disk: %s all the same', async (onFailure, last, at) => {
    const store = memoryStore();
    store.write({ ...TARGET, fallback: 'old' });
    const keep = () => {
      throw new Error('ENOSPC');
    };
    const { state, told, said, left } = await boot(store, FAILS, { plan: planOf(onFailure), keep });
    expect([told.at(-1), state.at]).toEqual([last, at]);
    expect(said[0]).toBe('the output of script 50-a is not kept: ENOSPC');
    expect(left).toEqual(['50-a 3']);
  });
});
