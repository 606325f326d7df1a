/** firmware-stubs/bios under SeaBIOS, with Debian's iPXE, against dnsmasq and busybox httpd. */
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { eepromLayout } from '../../agent/protocol/pointer/at24.ts';
import { consoleLines, decide, storeAfter } from '../../firmware-stubs/simulated/decide.ts';
import { ADDRESS, firmwareBoot, openBootLab, pointer } from './boot-lab.ts';
import { decisionCases, storeOf } from './decisions.ts';

// Generous: the machine may be busy with other tests.
const IN_TIME = { withinMs: 90_000 };
vi.setConfig({ testTimeout: 90_000 });
const LAYOUT = eepromLayout(8192);

let boot: Awaited<ReturnType<typeof openBootLab>>;
beforeAll(async () => {
  boot = await openBootLab('x86', { firmware: 'bios-stub', listenMilliseconds: 0 });
}, 120_000);
afterEach(() => boot.node.cutPower());
afterAll(() => boot?.close());

/** Makes the EEPROM begin with these bytes. */
async function store(bytes: Uint8Array): Promise<void> {
  const image = new Uint8Array(8192).fill(0x5a);
  image.set(bytes);
  await writeFile(boot.eeprom, image);
}

test.each(decisionCases(LAYOUT))('$name', async (given) => {
  const before = storeOf(LAYOUT, given);
  await store(before);
  const decision = decide(LAYOUT, before);
  const wanted = consoleLines(decision);
  await boot.node.powerOn();
  if ('error' in decision) await boot.node.waitForLine((line) => line === wanted[0], IN_TIME);
  else await boot.node.waitForStep('boot', IN_TIME);
  const said = [...boot.node.serial().matchAll(/^.{0,3}(bootwright: firmware (?!start|dhcp|boot).*)$/gm)].map(
    ([, text]) => text,
  );
  expect(said).toEqual(wanted);
  const after = new Uint8Array(await readFile(boot.eeprom));
  expect(after.subarray(0, LAYOUT.size)).toEqual(storeAfter(before, decision));
  expect(after.subarray(LAYOUT.size).every((byte) => byte === 0x5a)).toBe(true);
});
