/** What the QEMU rig refuses before anything runs, and what it leaves of an earlier run. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseScenario } from '../../../firmware-stubs/rig/scenario/load.ts';
import { qemuKind } from '../../../firmware-stubs/rig/scenario/qemu-kind.ts';
import { writeConfig } from '../../../firmware-stubs/rig/scenario/qemu-rig.ts';
import { scenarioText } from './texts.ts';

const STORE = `script:
  - { on: start, do: [{ write: { offset: 0, hex: "ff" } }, { power: on }] }
  - { on: { step: ready }, do: { flash: { image: alpha, disks: [n1-root] } } }
expect:
  - { on: { step: ready } }
  - { pointer: { image: alpha } }
`;

test('a node without a boot pointer has no store to write to and to look at', () => {
  expect(qemuKind.refusals(parseScenario(scenarioText(STORE), 'a.yaml'))).toEqual([]);
  const network = scenarioText(STORE).replace(
    /rig: arm64, pointer: \{.*?\}/,
    'rig: x86, firmware: ipxe-bios',
  );
  const why = 'the firmware of n1 asks the network: it has no boot pointer';
  expect(qemuKind.refusals(parseScenario(network, 'a.yaml'))).toEqual([
    { path: ['script', 0, 'do', 0], why },
    { path: ['script', 1, 'do'], why },
    { path: ['expect', 1, 'pointer'], why },
  ]);
});

test('the stubs have a boot pointer; in variables there is no offset to write at', () => {
  const stub = (firmware: string) =>
    parseScenario(scenarioText(STORE).replace('rig: arm64', `rig: x86, firmware: ${firmware}`), 'a.yaml');
  expect(stub('uefi-stub').nodes[0]).toMatchObject({ firmware: 'uefi-stub', pointer: { image: 'alpha' } });
  expect(qemuKind.refusals(stub('bios-stub'))).toEqual([]);
  expect(qemuKind.refusals(stub('uefi-stub'))).toEqual([
    {
      path: ['script', 0, 'do', 0],
      why: 'the store of n1 is UEFI variables: it has no offsets to write at',
    },
  ]);
});

test('a folder that an earlier run was kept in has its configuration, and none of its disks and log', () => {
  const dir = mkdtempSync(join(tmpdir(), 'qemu-rig-'));
  try {
    mkdirSync(join(dir, 'state', 'disks'), { recursive: true });
    for (const file of ['state/disks/n1-root', 'imager.log', 'mine']) writeFileSync(join(dir, file), 'old');
    expect(readFileSync(writeConfig(dir, { cluster: 'lab' }), 'utf8')).toBe('state: ./state\ncluster: lab\n');
    expect(['state', 'imager.log', 'mine'].map((name) => existsSync(join(dir, name)))).toEqual([
      ...[false, false],
      true,
    ]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
