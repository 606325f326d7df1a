/** Debian's own U-Boot for arm64 in QEMU, its serial line a pty: flashed through its prompt by `imager serial`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { encodeUbootSlot, ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { InsideProcess } from '../../firmware-stubs/rig/inside.ts';
import { qemuCommand } from '../../firmware-stubs/rig/qemu.ts';
import {
  identityVariables,
  parseEnvironment,
  writeFlash,
} from '../../firmware-stubs/rig/uboot-environment.ts';
import { openBootLab, pointer, UID } from '../firmware/boot-lab.ts';
import { bundle } from '../support/inside.ts';
import { type Ran, runImager } from './pty-lines.ts';

// Generous: the machine may be busy with other tests.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** A node whose serial line is a pty; it stands still until `go`, so that nothing it says is lost. */
interface Machine {
  port: string;
  go(): void;
  cutPower(): Promise<void>;
}

let boot: Awaited<ReturnType<typeof openBootLab>>;
let program: string;
let machine: Machine | undefined;
let console: ChildProcess | undefined;

beforeAll(async () => {
  program = await bundle('imager/cli/main.ts');
  boot = await openBootLab('arm64');
});
afterEach(async () => {
  console?.kill('SIGKILL');
  console = undefined;
  await machine?.cutPower();
  machine = undefined;
});
afterAll(() => boot?.close());

async function environment(bootdelay: string): Promise<void> {
  const text = await readFile(join(import.meta.dirname, '../../firmware-stubs/uboot/boot.env'), 'utf8');
  const variables = new Map([...parseEnvironment(text), ...identityVariables(UID)]);
  await writeFlash(join(boot.dir, 'n1.flash'), variables.set('bootdelay', bootdelay));
}

async function powerOn(): Promise<Machine> {
  const argv = qemuCommand({
    ...{ rig: 'arm64', mac: '52:54:00:00:00:01', uid: UID, memoryMiB: 512 },
    ...{ tap: 'tap0', eeprom: boot.eeprom, flash: join(boot.dir, 'n1.flash') },
  });
  // A pty instead of standard output; a reset starts the same process again, so that the pty stays.
  argv[argv.indexOf('-serial') + 1] = 'pty';
  argv.splice(argv.indexOf('-no-reboot'), 1, '-S');
  const qemu = new InsideProcess(boot.lab.space.spawn(argv, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] }));
  let said = '';
  const port = await new Promise<string>((resolve, reject) => {
    const take = (chunk: Buffer) => {
      said += chunk;
      const path = /redirected to (\S+)/.exec(said)?.[1];
      if (path !== undefined) resolve(path);
    };
    qemu.child.stdout?.on('data', take);
    qemu.child.stderr?.on('data', take);
    void qemu.ended.then(() => reject(new Error(`QEMU ended: ${said}`)));
  });
  const [, , , control] = qemu.child.stdio;
  control?.on('error', () => {});
  return {
    port,
    go() {
      (control as NodeJS.WritableStream).write('{"execute": "qmp_capabilities"}\n{"execute": "cont"}\n');
    },
    async cutPower() {
      await qemu.end('SIGKILL');
    },
  };
}

/** Runs a verb on a node that is switched on when it is waited for. */
async function imager(verb: string, ...args: string[]): Promise<Ran> {
  machine = await powerOn();
  return onNode(machine, [verb, ...args]);
}

/** `cutAt`: the power goes when the tool says that. */
function onNode(
  { port, go, cutPower }: Machine,
  [verb = '', ...args]: string[],
  cutAt?: string,
): Promise<Ran> {
  const where = ['--port', port, '--wait', '60', '--state', join(boot.dir, 'state')];
  return runImager(program, boot.dir, [verb, ...where, ...args], (line) => {
    if (line.endsWith(': waiting for an answer')) go();
    if (cutAt !== undefined && line.endsWith(`: ${cutAt}`)) void cutPower();
  });
}

/** Power-cycles the node and reads its console through `imager serial console` until `seen` shows. */
async function bootedWith(seen: RegExp): Promise<string> {
  await machine?.cutPower();
  machine = await powerOn();
  console = spawn(process.execPath, [program, 'serial', 'console', '--port', machine.port]);
  await once(console.stderr!, 'data');
  let said = '';
  const shown = new Promise<void>((resolve) => {
    console?.stdout?.on('data', (chunk) => {
      said += chunk;
      if (seen.test(said)) resolve();
    });
  });
  machine.go();
  await shown;
  return said;
}

async function slots() {
  return ubootEnv.read(new Uint8Array(await readFile(boot.eeprom)));
}

test('flashed through the prompt, power-cycled, the node boots what was flashed; and again', async () => {
  await environment('2');
  await writeFile(boot.eeprom, new Uint8Array(8192));
  const target = ['--disk', 'n1-root', '--imager', '10.77.0.1', '--cluster', 'one'];
  const flashed = await imager('flash', '--image', 'alpha', ...target);
  expect(flashed).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('boot pointer written, read back and verified'),
  });
  expect(flashed.stderr).toContain(`found ${UID}`);
  expect(await slots()).toMatchObject([
    { kind: 'valid', pointer: { image: 'alpha', disks: ['n1-root'], phase: 'deploy', sequence: 1 } },
    { kind: 'empty' },
  ]);
  expect(await bootedWith(/firmware boot \w+\r?\n/)).toMatch(
    /firmware pointer image=alpha slot=0 attempts=3.*firmware boot alpha/s,
  );

  // U-Boot counted the attempt into the other slot: the next flash goes into the first.
  await machine?.cutPower();
  console?.kill('SIGKILL');
  const again = await imager('flash', '--image', 'beta', ...target, '--json');
  expect(JSON.parse(again.stdout)).toMatchObject([
    {
      ok: true,
      outcome: 'written',
      identity: { via: 'uboot', uid: UID, layout: 'uboot-env' },
      old: { image: 'alpha', attempts: 2, sequence: 2 },
      pointer: { image: 'beta', sequence: 3 },
    },
  ]);
  expect(await bootedWith(/firmware boot \w+\r?\n/)).toMatch(
    /pointer image=beta slot=0 attempts=3.*boot beta/s,
  );
});

test.each(['sending', 'checking'])(
  'power cut while %s: pulled, and a usable pointer is left',
  async (cutAt) => {
    await environment('2');
    const image = new Uint8Array(8192);
    image.set(encodeUbootSlot(pointer({ image: 'alpha', sequence: 7 })));
    await writeFile(boot.eeprom, image);
    machine = await powerOn();
    const target = ['--image', 'beta', '--disk', 'n1-root', '--imager', '10.77.0.1', '--cluster', 'one'];
    const cut = await onNode(machine, ['flash', ...target], cutAt);
    expect(cut).toMatchObject({ code: 8, stderr: expect.stringContaining('was the cable pulled?') });
    const [first, second] = await slots();
    expect(first).toMatchObject({ kind: 'valid', pointer: { image: 'alpha' } });
    // Written before it is read back; not before it is all sent.
    if (cutAt === 'sending') expect(second).toEqual({ kind: 'empty' });
    else expect(second).toMatchObject({ kind: 'valid', pointer: { image: 'beta', sequence: 8 } });
    const trail = await readFile(join(boot.dir, 'state/serial-audit.jsonl'), 'utf8');
    expect(JSON.parse(trail.trim().split('\n').at(-1)!)).toMatchObject({
      event: 'failed',
      new: { image: 'beta' },
    });
  },
);

test('a torn slot is shown as one, and the node goes its way afterwards', async () => {
  await environment('2');
  const image = new Uint8Array(8192);
  image.fill(0x33, 0x1000, 0x1400);
  await writeFile(boot.eeprom, image);
  expect(await imager('show')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('slot 0 is empty; slot 1 is torn'),
  });
  expect(new Uint8Array(await readFile(boot.eeprom))).toEqual(image);
});

test('U-Boot that lets nobody in is locked, with its own exit code, and boots on', async () => {
  await environment('-2');
  expect(await imager('show')).toMatchObject({ code: 9, stderr: expect.stringContaining('bootdelay is -2') });
});
