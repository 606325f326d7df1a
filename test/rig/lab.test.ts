/** The lab with stand-ins: a small program for the imager, a node whose EEPROM holds no pointer. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DeadlineError } from '../../firmware-stubs/rig/deadline.ts';
import { Lab } from '../../firmware-stubs/rig/lab.ts';

// Generous: the machine may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

/** Says it is ready, ends with 7 on SIGTERM; with other verbs it prints its arguments and ends with 3. */
const STAND_IN = `
  const [verb] = process.argv.slice(1);
  if (verb !== 'serve') { console.log(process.argv.slice(1).join(' ')); process.exitCode = 3; }
  else {
    process.on('SIGTERM', () => process.exit(7));
    console.error('{"msg":"starting"}');
    console.log('ready http 10.77.0.1:80');
    setInterval(() => {}, 1000);
  }`;
const PROGRAM = [process.execPath, '-e', STAND_IN, '--'];
const UID = '0f9d1c3a-5d0e-4a52-9d3e-1b5b0a1f0001';

let dir: string;
let lab: Lab;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'lab-'));
  writeFileSync(join(dir, 'eeprom'), new Uint8Array(16_384));
  lab = await Lab.open({ dir });
});
afterEach(async () => {
  await lab.close();
  rmSync(dir, { recursive: true, force: true });
});

function node(changes: Partial<Parameters<Lab['node']>[0]> = {}) {
  const usual = { name: 'n1', rig: 'arm64', mac: '52:54:00:00:00:01', uid: UID } as const;
  return lab.node({ ...usual, eeprom: join(dir, 'eeprom'), ...changes });
}

test('the imager: ready, log, commands, stop', async () => {
  const config = join(dir, 'imager.yaml');
  const imager = await lab.startImager({ config, program: PROGRAM });
  expect(imager.running).toBe(true);
  const shown = await lab.imagerCommand(['node', 'list']);
  expect(shown).toMatchObject({ code: 3, stdout: `node list --config ${config}\n` });
  expect(await imager.stop()).toBe(7);
  expect(imager.log()).toContain('"starting"');
  expect(imager.running).toBe(false);
});

test('the imager is killed as by a crash, and can be started again', async () => {
  const first = await lab.startImager({ config: 'x', program: PROGRAM });
  await first.kill();
  expect(first.running).toBe(false);
  const second = await lab.startImager({ config: 'x' });
  expect(second.running).toBe(true);
});

test('an imager that does not come up shows why', async () => {
  const broken = [process.execPath, '-e', 'console.error("port 69 is taken"); process.exit(1)', '--'];
  const start = lab.startImager({ config: 'x', program: broken });
  await expect(start).rejects.toThrow(/ended \(exit 1\)[\s\S]*port 69 is taken/);
});

test('a deadline carries the end of both logs', async () => {
  await lab.startImager({ config: 'x', program: PROGRAM });
  const made = await node();
  await made.powerOn();
  await made.waitForStep('error', { withinMs: 60_000 });
  const failure = await made.waitForStep('ready', { withinMs: 50 }).catch((error: Error) => error);
  expect(failure).toBeInstanceOf(DeadlineError);
  expect((failure as Error).message).toMatch(
    /^node n1, step "ready": not within 50 ms\n--- serial line of n1.*\n[\s\S]*no boot pointer[\s\S]*--- imager's log.*\n[\s\S]*starting/,
  );
  expect(readFileSync(join(dir, 'n1.serial.log'), 'utf8')).toContain('no boot pointer');
});

test('power: on, cut, on again; waits end when the power does', async () => {
  const made = await node();
  await made.powerOn();
  await expect(made.powerOn()).rejects.toThrow('on already');
  await made.waitForStep('start', { withinMs: 60_000 });
  const waiting = expect(made.waitForStep('ready', { withinMs: 60_000 })).rejects.toThrow('power was cut');
  await made.cutPower();
  await waiting;
  expect(made.powered).toBe(false);
  await made.cutPower();
  await expect(made.waitForLine(/x/, { withinMs: 60_000 })).rejects.toThrow('power was cut');

  await made.powerOn();
  const start = await made.waitForStep('start', { withinMs: 60_000, boot: 2 });
  expect(made.boots).toBe(2);
  expect(start).toMatchObject({ component: 'firmware', node: 'n1', mac: '52:54:00:00:00:01' });
  expect(Math.abs(start.at - Date.now())).toBeLessThan(10_000);
  expect(start.detail?.seconds).toBeCloseTo((start.at - made.poweredOnAt) / 1000);
  const steps = lab.events().map((event) => `${event.component} ${event.step}`);
  expect(steps.filter((step) => !step.endsWith('error'))).toEqual([
    ...['rig power-on', 'firmware start', 'rig off'],
    ...['rig power-on', 'firmware start'],
  ]);
});

test('QEMU that cannot start says so in the error', async () => {
  const made = await node();
  rmSync(join(dir, 'eeprom'));
  await made.powerOn();
  await expect(made.waitForStep('start', { withinMs: 60_000 })).rejects.toThrow(
    /QEMU ended \(exit 1\).*eeprom/,
  );
});

test.each([
  [{ name: '../x' }, 'cannot be a file'],
  [{ mac: '52:54:00' }, 'not an Ethernet address'],
  [{ uid: 'x' }, 'not a UID'],
  [{ eeprom: '/dev/null' }, 'has 0 bytes, an EEPROM 16384 or 8192'],
  [{ firmware: 'uefi-pxe' as const }, 'of x86 nodes'],
])('a node with a fault is refused: %j', async (changes, why) => {
  await expect(node(changes)).rejects.toThrow(why);
});

test('two nodes cannot have one name', async () => {
  await node();
  await expect(node({ mac: '52:54:00:00:00:02' })).rejects.toThrow('already');
});

test('closing leaves no process and no flash image', async () => {
  const made = await node();
  await made.powerOn();
  await made.waitForStep('start', { withinMs: 60_000 });
  expect(existsSync(join(dir, 'n1.flash'))).toBe(true);
  await lab.close();
  expect(made.powered).toBe(false);
  expect(existsSync(join(dir, 'n1.flash'))).toBe(false);
});

test('a UEFI node has variables of its own, and needs no EEPROM', async () => {
  const { mac, uid } = { mac: '52:54:00:00:00:03', uid: UID };
  await lab.node({ name: 'u1', rig: 'x86', firmware: 'uefi-pxe', mac, uid });
  expect(existsSync(join(dir, 'u1.flash'))).toBe(true);
  await expect(lab.node({ name: 'u2', rig: 'x86', mac, uid })).rejects.toThrow('neither an EEPROM nor');
});
