/**
 * A node known by its TPM: the static agent asks the machine's TPM through the kernel's driver, and says the UID that the agent
 * on Node has from the same TPM.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readUid } from '../../agent/linux/uid.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import type { NodeDetails } from '../../imager/model/views.ts';
import { FilesHost } from '../fakes/files-host.ts';
import { Cluster } from '../support/cluster.ts';
import { askTpm, startTpm } from '../support/swtpm.ts';

const BOOTED = 240_000;

let folder: string;
let cluster: Cluster;
beforeAll(async () => {
  mkdirSync(projectFile('build/test'), { recursive: true });
  folder = mkdtempSync(projectFile('build/test/tpm-'));
  cluster = await Cluster.open({
    rig: 'x86',
    nodes: ['n1'],
    images: ['alpha'],
    args: { alpha: 'bootwright.uid=tpm' },
    machine: {
      devices: [
        ...['-chardev', `socket,id=tpm,path=${join(folder, 'tpm.sock')}`],
        ...['-tpmdev', 'emulator,id=tpm,chardev=tpm', '-device', 'tpm-tis,tpmdev=tpm'],
      ],
    },
    userConfig: { secondReboot: false, scripts: [] },
  });
});
afterAll(async () => {
  await cluster?.close();
  rmSync(folder, { recursive: true, force: true });
});

it(
  'says the same UID from either runtime',
  async () => {
    const inMachine = await startTpm(folder, 'machine');
    const node = cluster.nodes[0]!;
    await node.powerOn();
    // After the welcome; the next boot would need the TPM again.
    await node.waitForStep('installed', { withinMs: BOOTED });
    const { reported } = await cluster.json<NodeDetails>('node', 'show', 'n1');
    await node.cutPower();
    await inMachine.stop();

    const alone = await startTpm(folder, 'commands');
    class TpmHost extends FilesHost {
      override transact(_path: string, request: Uint8Array): Uint8Array {
        return askTpm(alone, request);
      }
    }
    const uid = readUid(new TpmHost({ '/proc/cmdline': 'bootwright.uid=tpm', '/dev/tpmrm0': '' }));
    await alone.stop();
    expect(uid).toMatch(/^tpm:[0-9a-f]{64}$/);
    expect(reported?.uid).toBe(uid);
  },
  BOOTED,
);
