/** What the simulated rig does about the actions of a scenario, and what it refuses. */
import { describe, expect, it } from 'vitest';
import { FRESH_ATTEMPTS } from '../../agent/protocol/pointer/record.ts';
import { parseScenario } from '../../firmware-stubs/rig/scenario/load.ts';
import { runScenario } from '../../firmware-stubs/rig/scenario/run.ts';
import { simulatedRig } from '../../firmware-stubs/simulated/lab/kind.ts';
import { NODE, OneNode, scenarioOf } from './one-node.ts';

/** A lab whose node is ready. */
async function ready(): Promise<OneNode> {
  const lab = new OneNode(scenarioOf({}));
  await lab.power('on');
  expect(await lab.untilStep('ready')).toBeDefined();
  return lab;
}

describe('a flash', () => {
  it('of a node that is on is written by the node, as the imager asks it to', async () => {
    const lab = await ready();
    await lab.rig.perform({ kind: 'flash', node: NODE, image: 'beta', disks: ['n1-root'] });
    expect(lab.rig.pointer(NODE)).toMatchObject({ image: 'beta', phase: 'deploy', fallback: 'alpha' });
    expect(await lab.until(({ kind }) => kind === 'write')).toMatchObject({ node: NODE, stored: 4096 });
    await lab.power('cut');
    await lab.power('on');
    expect(await lab.untilStep('ready')).toMatchObject({ detail: { image: 'beta' } });
  });

  it('of an image that is not what the imager has signed is refused, and told', async () => {
    const lab = await ready();
    const before = lab.rig.pointer(NODE);
    const flash = () => lab.rig.perform({ kind: 'flash', node: NODE, image: 'beta', disks: ['n1-root'] });
    lab.rig.imager.replaced.set('/images/beta/kernel', new TextEncoder().encode('Kernel of beta\n'));
    await expect(flash()).rejects.toThrow('tampered: /images/beta/kernel of 10.77.0.1 has sha256');
    expect(await lab.untilStep('tampered')).toMatchObject({ detail: { image: 'beta' } });
    expect(lab.rig.pointer(NODE)).toEqual(before);
    lab.rig.imager.replaced.clear();
    await flash();
    expect(lab.rig.pointer(NODE)).toMatchObject({ image: 'beta', sequence: before!.sequence + 1 });
  });

  it('of a node that is off is written by the host', async () => {
    const lab = await ready();
    await lab.power('cut');
    await lab.rig.perform({ kind: 'flash', node: NODE, image: 'beta', disks: ['n1-root'] });
    expect(lab.rig.pointer(NODE)).toMatchObject({
      image: 'beta',
      attempts: FRESH_ATTEMPTS,
      fallback: 'alpha',
    });
  });

  it('is refused where the node is on and no imager reaches it', async () => {
    const lab = await ready();
    await lab.rig.perform({ kind: 'imager', imager: 'kill' });
    const flash = lab.rig.perform({ kind: 'flash', node: NODE, image: 'beta', disks: ['n1-root'] });
    await expect(flash).rejects.toThrow('no agent of n1 is connected');
  });
});

it('adapters that a plan sets are reported; the agent connects anew', async () => {
  const lab = new OneNode(
    scenarioOf({ adapters: [{ setMac: '02:00:00:77:00:50', address: '10.77.0.50/24' }] }),
  );
  await lab.power('on');
  const detail = { adapter: 'eth0', mac: '02:00:00:77:00:50', address: '10.77.0.50/24' };
  expect(await lab.untilStep('network')).toMatchObject({ detail });
  expect(await lab.untilStep('ready')).toBeDefined();
});

describe('the network', () => {
  it('drops what it is told to, until it heals', async () => {
    const lab = new OneNode(scenarioOf({}));
    await lab.rig.perform({ kind: 'network', node: NODE, network: 'drop', traffic: 'tftp' });
    await lab.power('on');
    expect(await lab.until(({ kind, ...event }) => kind === 'step' && 'reason' in event)).toMatchObject({
      step: 'error',
      reason: 'no image alpha from 10.77.0.1',
    });
    expect(lab.rig.pointer(NODE)).toMatchObject({ attempts: 3 });
    await lab.rig.perform({ kind: 'network', node: NODE, network: 'heal' });
    expect(await lab.untilStep('ready')).toBeDefined();
  });

  it('delays what it is told to', async () => {
    const seconds = async (delayMs: number) => {
      const lab = new OneNode(scenarioOf({}));
      await lab.rig.perform({ kind: 'network', node: NODE, network: 'delay', traffic: 'tftp', delayMs });
      await lab.power('on');
      return (await lab.untilStep('ready'))!.at / 1000;
    };
    // Three boots, each with 1231 windows of blocks.
    expect((await seconds(1)) - (await seconds(0))).toBeCloseTo(3 * 1.237, 1);
  });

  it('a node whose imager cannot be reached while its disk is away waits, and goes on', async () => {
    const lab = new OneNode(scenarioOf({}));
    await lab.power('on');
    await lab.until((event) => event.kind === 'line' && event.text === '20-slow begins');
    await lab.rig.perform({ kind: 'network', node: NODE, network: 'drop', traffic: 'all' });
    expect(await lab.untilStep('stage1', 60)).toBeUndefined();
    await lab.rig.perform({ kind: 'network', node: NODE, network: 'heal' });
    expect(await lab.untilStep('ready')).toBeDefined();
    expect(lab.lines.filter((line) => line.endsWith(' begins'))).toEqual([
      '10-first begins',
      '20-slow begins',
      '50-last begins',
    ]);
  });
});

it('a script that fails is told, its words on its console alone, and its image given up after its attempts', async () => {
  const scripts = [{ name: '10-bad', stage: 1 as const, content: 'echo no such disk\nexit 3' }];
  const lab = new OneNode(scenarioOf({ scripts, pointer: { fallback: 'beta' } }));
  await lab.power('on');
  expect(await lab.untilStep('failed')).toMatchObject({
    detail: { why: 'script 10-bad: exit 3' },
  });
  expect(lab.lines).toContain('bootwright: script 10-bad: exit 3; no such disk');
  // The first reboot was progress: its three attempts are whole again.
  expect(lab.lines.filter((line) => line.startsWith('bootwright: firmware boot'))).toEqual(
    ['alpha', 'alpha', 'alpha', 'alpha', 'beta'].map((image) => `bootwright: firmware boot ${image}`),
  );
  expect(lab.steps.filter((step) => step === 'retry')).toHaveLength(3);
});

describe('scripts', () => {
  const outputs = (lab: OneNode) =>
    lab.rig.outputs(NODE).map(({ script, code, timedOut, output }) => ({ script, code, timedOut, output }));

  it('what they left is told to the imager, also where it was away', async () => {
    const scripts = [
      { name: '10-a', stage: 1 as const, content: 'echo one\nsleep 2\necho two' },
      {
        name: '20-b',
        stage: 1 as const,
        content: 'echo begun\nsleep 5\necho never',
        timeoutSeconds: 3,
        onFailure: 'continue' as const,
      },
    ];
    const lab = new OneNode(scenarioOf({ scripts }));
    await lab.power('on');
    expect(await lab.untilStep('script-failed')).toMatchObject({
      detail: {
        script: '20-b',
        stage: '1',
        policy: 'continue',
        why: 'script 20-b: no end within 3 s',
      },
    });
    // The power goes before the imager has heard of it, and it never will from this boot.
    await lab.rig.perform({ kind: 'imager', imager: 'kill' });
    await lab.power('cut');
    await lab.rig.perform({ kind: 'imager', imager: 'start' });
    expect(outputs(lab)).toMatchObject([{ script: '10-a' }]);
    await lab.power('on');
    await lab.untilStep('mounted');
    await lab.untilStep('ready');
    await lab.until(() => false, 5);
    expect(outputs(lab)).toEqual([
      { script: '10-a', code: 0, timedOut: false, output: 'one\ntwo\n' },
      { script: '20-b', code: 137, timedOut: true, output: 'begun\n' },
    ]);
  });

  it.each([
    ['stop', ['script-failed', 'failed'], 'alpha', { image: 'beta', phase: 'deploy' }],
    ['fall-back', ['script-failed', 'fall-back'], 'alpha', { image: 'beta', attempts: 0, phase: 'deploy' }],
    ['continue', ['script-failed', 'reboot'], 'beta', { image: 'beta', phase: 'ready' }],
  ] as const)('of a new image that fails: %s', async (onFailure, steps, image, pointer) => {
    const scripts = [{ name: '10-bad', stage: 1 as const, content: 'exit 3', onFailure }];
    const lab = new OneNode(scenarioOf({ scripts, pointer: { image: 'beta', fallback: 'alpha' } }));
    await lab.power('on');
    await lab.untilStep('script-failed');
    const seen = lab.steps.length;
    await lab.until((event) => event.kind === 'step' && ['ready', 'failed'].includes(event.step));
    expect(lab.steps.slice(seen - 1, seen + 1)).toEqual(steps);
    expect(lab.rig.pointer(NODE)).toMatchObject(pointer);
    const booted = lab.lines.filter((line) => line.startsWith('bootwright: firmware boot')).at(-1);
    expect(booted).toBe(`bootwright: firmware boot ${onFailure === 'stop' ? 'beta' : image}`);
  });
});

it('what a node says while its serial cable is out is not seen', async () => {
  const lab = new OneNode(scenarioOf({}));
  await lab.rig.perform({ kind: 'cable', node: NODE, cable: 'pull' });
  await lab.power('on');
  expect(await lab.until((event) => event.kind === 'line', 60)).toBeUndefined();
  expect(lab.rig.pointer(NODE)).toMatchObject({ phase: 'ready' });
  // Its boots count all the same.
  await lab.rig.perform({ kind: 'cable', node: NODE, cable: 'plug' });
  await lab.power('cut');
  await lab.power('on');
  expect(await lab.untilStep('ready')).toMatchObject({ detail: { boot: 4 } });
});

it('an imager that has started holds nobody up', async () => {
  const lab = new OneNode(scenarioOf({}));
  await lab.rig.perform({ kind: 'imager', imager: 'kill' });
  await lab.rig.perform({ kind: 'imager', imager: 'start' });
  expect(lab.rig.now()).toBeLessThan(1000);
});

it('the host writes to the store of a node that is off, and of no other', async () => {
  const lab = new OneNode(scenarioOf({}));
  const write = { kind: 'write' as const, node: NODE, offset: 20, bytes: Uint8Array.of(0xff) };
  await lab.rig.perform(write);
  expect(lab.rig.pointer(NODE)).toBeUndefined();
  await lab.power('on');
  expect(await lab.untilStep('error')).toMatchObject({ reason: 'no boot pointer in the EEPROM' });
  await expect(lab.rig.perform(write)).rejects.toThrow('n1 is on');
});

describe('a scenario', () => {
  const text = (script: string, expected = '{ on: { step: ready } }', more = '') => `
name: one
timeout: 2m
images: { alpha: {}, beta: {} }
nodes: [{ name: n1, rig: arm64, pointer: { image: alpha, disks: [n1-root] } ${more} }]
imager:
  cluster: lab
  network: { address: 10.77.0.1, prefix: 24 }
  nodes: [{ name: n1, mac: "52:54:00:77:00:11", uid: "serial:a1", address: 10.77.0.11, userConfig: web }]
  userConfigs:
    web:
      scripts: [{ name: 50-x, stage: 2, content: "echo hello > /dev/console" }]
      services: { init: [/sbin/init], ports: [80], timeoutSeconds: 60 }
script:
  - { on: start, do: { power: on } }
  ${script}
expect:
  - ${expected}
`;
  const run = (file: string) =>
    runScenario(parseScenario(file, '/one.yaml'), simulatedRig, {
      ...{ id: 'one', dir: '/nowhere', seed: 1, say: () => {}, progress: () => {} },
    });

  it('cuts the power between two bytes of a write: the pointer before it is in force', async () => {
    const cut = '- { on: { write: 1, stored: 77 }, do: { power: cut } }';
    const result = await run(
      text(cut, '{ on: { step: "off" } }\n  - { pointer: { attempts: 3, phase: deploy } }'),
    );
    expect([result.error, result.failures]).toEqual([undefined, []]);
    expect(result.events.find(({ kind }) => kind === 'write')).toMatchObject({
      slot: 1,
      stored: 77,
      length: 4096,
    });
    expect(result.events.at(-1)).toMatchObject({ step: 'off', reason: 'the power was cut' });
  });

  it('with a node that has its address from a pool is refused', () => {
    const pooled = text('')
      .replace(', address: 10.77.0.11', '')
      .replace('prefix: 24', 'prefix: 24, pool: { from: 10.77.0.100, to: 10.77.0.150 }');
    expect(simulatedRig.refusals(parseScenario(pooled, '/one.yaml'))).toEqual([
      {
        path: ['nodes', 0, 'name'],
        why: "the simulated rig has no pools of addresses, and the imager's configuration reserves none for n1",
      },
    ]);
  });

  it('that asks for more than it can do is refused with each place and why', () => {
    const patterns = [
      '- { on: { line: "Booting Linux" }, do: { power: cycle } }',
      '- { on: { line: "^hello" }, do: { network: drop, traffic: arp } }',
      '- { on: { line: "bootwright: disk" }, do: { network: drop, traffic: dhcp } }',
      '- { on: { packet: tftp-data }, do: { power: cycle } }',
      '- { on: { packet: dhcp-offer }, do: { power: cycle } }',
    ];
    const refusals = simulatedRig.refusals(parseScenario(text(patterns.join('\n  ')), '/one.yaml'));
    expect(refusals).toEqual([
      {
        path: ['script', 1, 'on', 'line'],
        why: 'the simulated rig has no console of a kernel or its programs, only the lines "bootwright: ..." and what scripts say',
      },
      {
        path: ['script', 4, 'on', 'packet'],
        why: 'the simulated rig has no blocks of files, only whole files',
      },
      { path: ['script', 2, 'do', 'traffic'], why: 'the simulated rig has no ARP' },
    ]);
  });
});
