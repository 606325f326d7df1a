/** Debian's own U-Boot for arm64 in QEMU, its serial line a pty: flashed through its prompt by `imager serial`. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { encodeUbootSlot, ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import {
  identityVariables,
  parseEnvironment,
  writeFlash,
} from '../../firmware-stubs/rig/uboot-environment.ts';
import { openBootLab, pointer, UID } from '../firmware/boot-lab.ts';
import type { Ended } from '../support/imager-verbs.ts';
import { bundle } from '../support/inside.ts';
import { runOnNode } from './pty-lines.ts';

// Generous: the machine may be busy with other tests.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

let boot: Awaited<ReturnType<typeof openBootLab>>;
let program: string;

beforeAll(async () => {
  program = await bundle('imager/cli/main.ts');
  boot = await openBootLab('arm64', { serial: 'pty' });
});
afterEach(async () => {
  await boot.node.cutPower();
  await boot.node.plugCable();
});
afterAll(() => boot?.close());

/** The stub's environment, with these of its variables changed. */
async function environment(changes: Record<string, string> = {}): Promise<void> {
  const text = await readFile(join(import.meta.dirname, '../../firmware-stubs/uboot/boot.env'), 'utf8');
  const variables = [...parseEnvironment(text), ...identityVariables(UID), ...Object.entries(changes)];
  await writeFlash(join(boot.dir, 'n1.flash'), new Map(variables));
}

/** Runs a verb on the node. `at`: what is done when the tool says that. */
function imager(args: string[], at: Record<string, () => Promise<void>> = {}): Promise<Ended> {
  const { node, dir } = boot;
  return runOnNode(program, node, dir, [...args, '--state', join(dir, 'state')], at);
}

/** Power-cycles the node: what its firmware says of the pointer, and the image it starts. */
async function bootedWith(): Promise<unknown> {
  const { node } = boot;
  await node.cutPower();
  await node.powerOn();
  const found = await node.waitForStep('pointer', { withinMs: 90_000 });
  const started = await node.waitForStep('boot', { withinMs: 90_000 });
  const { image, slot, attempts } = found.detail!;
  return { image, slot, attempts, started: started.detail?.image };
}

async function slots() {
  return ubootEnv.read(new Uint8Array(await readFile(boot.eeprom)));
}

test.each([
  ['of the stub, which listens', {}],
  ['of a board whose autoboot any key stops', { bootdelay: '2', bw_listen: '0' }],
])(
  'flashed through the prompt %s, power-cycled, the node boots what was flashed; and again',
  async (_, changes) => {
    await environment(changes);
    await writeFile(boot.eeprom, new Uint8Array(8192));
    const target = ['--disk', 'n1-root', '--imager', '10.77.0.1', '--cluster', 'one'];
    const flashed = await imager(['flash', '--image', 'alpha', ...target]);
    expect(flashed).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('boot pointer written, read back and verified'),
    });
    expect(flashed.stderr).toContain(`found ${UID}`);
    expect(await slots()).toMatchObject([
      { kind: 'valid', pointer: { image: 'alpha', disks: ['n1-root'], phase: 'deploy', sequence: 1 } },
      { kind: 'empty' },
    ]);
    expect(await bootedWith()).toEqual({ image: 'alpha', slot: 0, attempts: 3, started: 'alpha' });

    // U-Boot counted the attempt into the other slot: the next flash goes into the first.
    await boot.node.cutPower();
    const again = await imager(['flash', '--image', 'beta', ...target, '--json']);
    expect(JSON.parse(again.stdout)).toMatchObject([
      {
        ok: true,
        outcome: 'written',
        identity: { via: 'uboot', uid: UID, layout: 'uboot-env' },
        old: { image: 'alpha', attempts: 2, sequence: 2 },
        pointer: { image: 'beta', sequence: 3 },
      },
    ]);
    expect(await bootedWith()).toEqual({ image: 'beta', slot: 0, attempts: 3, started: 'beta' });
  },
);

test.each([
  ['power cut', 'sending', 'is the cable still in?'],
  ['power cut', 'checking', 'is the cable still in?'],
  ['cable pulled', 'sending', 'was the cable pulled?'],
])('%s while %s: told, and a usable pointer is left', async (what, step, said) => {
  await environment();
  const image = new Uint8Array(8192);
  image.set(encodeUbootSlot(pointer({ image: 'alpha', sequence: 7 })));
  await writeFile(boot.eeprom, image);
  const target = ['--image', 'beta', '--disk', 'n1-root', '--imager', '10.77.0.1', '--cluster', 'one'];
  const { node } = boot;
  const act = () => (what === 'power cut' ? node.cutPower() : node.pullCable());
  const cut = await imager(['flash', ...target], { [step]: act });
  expect(cut).toMatchObject({ code: 8, stderr: expect.stringContaining(said) });
  const [first, second] = await slots();
  expect(first).toMatchObject({ kind: 'valid', pointer: { image: 'alpha' } });
  // Written before it is read back; not before it is all sent.
  if (step === 'sending') expect(second).toEqual({ kind: 'empty' });
  else expect(second).toMatchObject({ kind: 'valid', pointer: { image: 'beta', sequence: 8 } });
  const trail = await readFile(join(boot.dir, 'state/serial-audit.jsonl'), 'utf8');
  expect(JSON.parse(trail.trim().split('\n').at(-1)!)).toMatchObject({
    event: 'failed',
    new: { image: 'beta' },
  });
});

test('a torn slot is shown as one, and the node goes its way afterwards', async () => {
  await environment();
  const image = new Uint8Array(8192);
  image.fill(0x33, 0x1000, 0x1400);
  await writeFile(boot.eeprom, image);
  expect(await imager(['show'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('slot 0 is empty; slot 1 is torn'),
  });
  expect(new Uint8Array(await readFile(boot.eeprom))).toEqual(image);
});

test('U-Boot that lets nobody in is locked, with its own exit code, and boots on', async () => {
  await environment({ bw_listen: '0' });
  expect(await imager(['show'])).toMatchObject({
    code: 9,
    stderr: expect.stringContaining('bootdelay is -2 and bw_listen 0'),
  });
});

test('a line with noise on it does not keep the node from booting; one Ctrl-C is noise', async () => {
  await environment();
  const image = new Uint8Array(8192);
  image.set(encodeUbootSlot(pointer({ image: 'alpha' })));
  await writeFile(boot.eeprom, image);
  const { node } = boot;
  // All bytes but Ctrl-C as often as the window lasts, and that once.
  const noise = Uint8Array.from({ length: 255 }, (_, i) => (i < 3 ? i : i + 1));
  const bootsBefore = node.boots;
  const off = node.onLine(({ text, boot: now }) => {
    if (/firmware listen 1 s/.test(text)) node.type(noise);
    if (/firmware listen 1 s/.test(text) && now === bootsBefore + 1) node.type('\x03');
    if (/firmware listen 2 s/.test(text)) node.type(noise);
  });
  await node.powerOn();
  const started = await node.waitForStep('boot', { withinMs: 90_000 });
  off();
  expect(started.detail).toMatchObject({ image: 'alpha', boot: bootsBefore + 2 });
});

test.each(['', '0', '1'])(
  'bw_listen "%s": the node boots, and nothing that was saved at the prompt counts any more',
  async (listen) => {
    await environment({ bw_listen: listen, bw_prompt: '1', bw_counted: '1', bw_sequence0: '9' });
    // The slot of the sequence number that was saved is torn by now.
    const image = new Uint8Array(8192);
    image.fill(0x33, 0, 0x400);
    image.set(encodeUbootSlot(pointer({ image: 'beta', phase: 'deploy' })), 0x1000);
    await writeFile(boot.eeprom, image);
    const first = boot.node.boots + 1;
    expect(await bootedWith()).toEqual({ image: 'beta', slot: 1, attempts: 3, started: 'beta' });
    expect(boot.node.boots).toBe(first);
    expect(boot.node.serial().includes('firmware listen')).toBe(listen === '1');
    expect(await slots()).toMatchObject([{ pointer: { attempts: 2, sequence: 8 } }, { kind: 'valid' }]);
  },
);
