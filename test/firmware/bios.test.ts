/** firmware-stubs/bios under SeaBIOS, with Debian's iPXE, against dnsmasq and busybox httpd. */
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { eepromLayout } from '../../agent/protocol/pointer/at24.ts';
import { consoleLines, decide, storeAfter } from '../../firmware-stubs/simulated/decide.ts';
import { runOnNode } from '../serial/pty-lines.ts';
import { bundle } from '../support/inside.ts';
import {
  ADDRESS,
  bootsLinux,
  bootWithBlankInHostName,
  firmwareBoot,
  GATEWAY,
  openBootLab,
  pointer,
  UID,
} from './boot-lab.ts';
import { type DecisionCase, decisionCases, storeOf } from './decisions.ts';

// Generous: the machine may be busy with other tests.
const IN_TIME = { withinMs: 90_000 };
vi.setConfig({ testTimeout: 90_000 });
const LAYOUT = eepromLayout(8192);
const ALL_CASES = decisionCases(LAYOUT);
/** One of each kind: the same C goes through all of them in test/pointer/c-slot.test.ts. */
const CASES = process.env.BOOTWRIGHT_DECISIONS === 'all' ? ALL_CASES : ALL_CASES.filter(isFirstOfItsKind);

let boot: Awaited<ReturnType<typeof openBootLab>>;
beforeAll(async () => {
  boot = await openBootLab('x86', { firmware: 'bios-stub', listenMilliseconds: 0, serial: 'pty' });
});
afterEach(() => boot.node.cutPower());
afterAll(() => boot?.close());

function isFirstOfItsKind(given: DecisionCase): boolean {
  const kind = ({ expected }: DecisionCase) =>
    'error' in expected
      ? expected.error
      : `${expected.slot} ${expected.counted === undefined} ${expected.fallback === true}`;
  return ALL_CASES.find((other) => kind(other) === kind(given)) === given;
}

/** Makes the EEPROM begin with these bytes. */
async function store(bytes: Uint8Array): Promise<void> {
  const image = new Uint8Array(8192).fill(0x5a);
  image.set(bytes);
  await writeFile(boot.eeprom, image);
}

async function stored(): Promise<Uint8Array> {
  const bytes = new Uint8Array(await readFile(boot.eeprom));
  expect(bytes.subarray(LAYOUT.size).every((byte) => byte === 0x5a)).toBe(true);
  return bytes.subarray(0, LAYOUT.size);
}

/** The store of one record, in slot 0. */
function one(changes: Parameters<typeof pointer>[0]): Uint8Array {
  return storeOf(LAYOUT, { name: '', slots: [pointer(changes), undefined], expected: { error: '' } });
}

test.each(CASES)('$name', async (given) => {
  const before = storeOf(LAYOUT, given);
  await store(before);
  const decision = decide(LAYOUT, before);
  const wanted = consoleLines(decision);
  await boot.node.powerOn();
  if ('error' in decision) await boot.node.waitForLine((line) => line === wanted[0], IN_TIME);
  else await boot.node.waitForStep('boot', IN_TIME);
  // SeaBIOS holds back the end of a line, so that it may come before ours.
  const said = boot.node.serial().matchAll(/^.{0,3}(bootwright: firmware (?!start|dhcp|boot).*)$/gm);
  expect([...said].map(([, text]) => text)).toEqual(wanted);
  expect(await stored()).toEqual(storeAfter(before, decision));
});

test('a node boots what its pointer names, and hands over pointer, address and UID', async () => {
  await store(one({ image: 'linux' }));
  expect(await bootsLinux(boot.node, IN_TIME.withinMs)).toBe(
    'initrd=initrd bootwright.image=linux bootwright.pointer=eeprom:/dev/vda ' +
      `ip=${ADDRESS}::${GATEWAY}:255.255.255.0:host-1:eth0:off console=ttyS0 quiet panic=1`,
  );
});

test('a host name with a blank becomes no argument of the kernel', async () => {
  await store(one({ image: 'linux' }));
  expect(await bootWithBlankInHostName(boot, IN_TIME.withinMs)).toMatch(
    /:255\.255\.255\.0:a%20init%3D%2Fx:eth0:off console=/,
  );
});

test('an imager that is away costs no attempt, and the node starts again by itself', async () => {
  const before = one({ phase: 'deploy', imagers: ['10.77.0.99'] });
  await store(before);
  await boot.node.powerOn();
  const first = boot.node.boots;
  await boot.node.waitForLine(/^bootwright: firmware error imager 10\.77\.0\.99: /, IN_TIME);
  await boot.node.waitForLine(/error no imager gave image alpha/, IN_TIME);
  await boot.node.waitForStep('pointer', { ...IN_TIME, boot: first + 2 });
  expect(await stored()).toEqual(before);
});

test('an imager that has only part of the image is left for the next one, at one attempt for both', async () => {
  const part = join(boot.dir, 'part/images/alpha');
  await mkdir(part, { recursive: true });
  for (const name of ['boot.ipxe', 'kernel'])
    await symlink(join(boot.dir, 'boot/images/alpha', name), join(part, name));
  const web = `busybox httpd -p 10.77.0.2:80 -h ${join(boot.dir, 'part')} </dev/null >/dev/null 2>&1`;
  await boot.lab.space.check(['sh', '-ec', `ip address add 10.77.0.2/24 dev br0; ${web}`]);
  await store(one({ phase: 'deploy', imagers: ['10.77.0.2', '10.77.0.1'] }));
  expect((await firmwareBoot(boot.node, IN_TIME.withinMs)).at(-2)).toMatch(/^error imager 10\.77\.0\.2: /);
  expect(LAYOUT.read(await stored())).toMatchObject([
    { pointer: { attempts: 3, sequence: 7 } },
    { pointer: { attempts: 2, sequence: 8 } },
  ]);
});

test('without a pointer it says so, hears a technician while it waits, and goes on with what was flashed', async () => {
  await store(new Uint8Array(LAYOUT.size));
  const program = await bundle('imager/cli/main.ts');
  const target = ['--image', 'beta', '--disk', 'd', '--imager', '10.77.0.1', '--cluster', 'one'];
  const more = ['--reset', '--json', '--state', join(boot.dir, 'state')];
  const flashed = await runOnNode(program, boot.node, boot.dir, ['flash', ...target, ...more]);
  expect(JSON.parse(flashed.stdout)).toMatchObject([
    {
      outcome: 'written',
      identity: { via: 'frames', uid: UID, layout: 'eeprom', firmware: 'bootwright BIOS stub' },
      pointer: { image: 'beta', sequence: 1 },
    },
  ]);
  expect((await boot.node.waitForStep('boot', IN_TIME)).detail?.image).toBe('beta');
  expect(boot.node.serial()).toContain('bootwright: firmware error no boot pointer in the EEPROM');
});
