/** Five networks in which a node cannot boot, with real firmware: explained from the wire and from the imager's journal. */
import type { ChildProcess } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { stringify } from 'yaml';
import type { NetworkFirmware } from '../../firmware-stubs/rig/qemu.ts';
import { explainCapture, explainJournal } from '../../imager/explain/explain.ts';
import type { BootsView } from '../../imager/journal/attempts.ts';
import { bundle } from '../support/inside.ts';
import { BrokenLab, MAC, UID } from './broken-lab.ts';

// Generous: the machine may be busy with other tests.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });
const IMAGER = '10.77.0.1';
const FILE = 'menus/start.kpxe';

let program: string;
let lab: BrokenLab;
beforeAll(async () => {
  program = await bundle('imager/cli/main.ts');
});
afterEach(() => lab.close());

interface Setup {
  firmware: NetworkFirmware;
  /** What the imager tells the node to load. */
  file: string;
  network?: object;
  before?: () => Promise<void>;
  /** What shows that the node has come as far as it can: a line of tcpdump, an event of the journal. */
  wire?: [line: RegExp, times: number];
  event?: string;
}

/** Lets a node try; gives the cause as the wire tells it and as the journal does. */
async function tried(setup: Setup): Promise<{ wire: string; journal: string }> {
  lab = await BrokenLab.open();
  const config = join(lab.dir, 'imager.yaml');
  const network = { address: IMAGER, prefix: 24, ...setup.network };
  const node = { name: 'web1', mac: MAC, uid: UID, address: '10.77.0.21', boot: { file: setup.file } };
  await writeFile(config, stringify({ state: './state', cluster: 'test', network, nodes: [node] }));
  await lab.routerAdvertisements();
  const imager = [process.execPath, '--enable-source-maps', program];
  await lab.lab.startImager({ config, program: imager });
  await setup.before?.();
  const follow = ['node', 'boots', 'web1', '--follow', '--json', '--config', config];
  const followed =
    setup.event === undefined ? undefined : said(lab.lab.space.spawn([...imager, ...follow]), setup.event);
  await lab.node(setup.firmware);
  if (setup.wire !== undefined) await lab.seen(...setup.wire);
  await followed;
  const { clients } = explainCapture(await lab.captured());
  const { code, stdout, stderr } = await lab.lab.imagerCommand(['node', 'boots', 'web1', '--json']);
  if (code !== 0) throw new Error(stderr);
  const events = (JSON.parse(stdout) as BootsView).attempts.flatMap((attempt) => attempt.events);
  // As if some silence had followed.
  const now = events.at(-1)!.at + 30_000;
  return {
    wire: clients.find(({ who }) => who === MAC)?.cause ?? 'the node is not in the capture',
    journal: explainJournal(events, { who: 'web1', imager: IMAGER, now })?.cause ?? 'no boot',
  };
}

/** Resolves once `child` has printed `text`; rejects where it ends before. */
function said(child: ChildProcess, text: string): Promise<void> {
  let output = '';
  return new Promise((resolve, reject) => {
    const take = (chunk: Buffer) => {
      output += chunk;
      if (output.includes(text)) resolve();
    };
    child.stdout?.on('data', take);
    child.stderr?.on('data', take);
    child.once('exit', (code) => reject(new Error(`ended with ${code}: ${output}`)));
  });
}

test('a boot file for another architecture', async () => {
  const { wire, journal } = await tried({
    firmware: 'uefi-pxe',
    file: 'ipxe/undionly.kpxe',
    wire: [/\.69: /, 2],
    event: '"transfer-end"',
  });
  const told =
    'wrong boot file for this firmware: x86-64 UEFI (arch 7) was told to load undionly.kpxe, which is';
  expect(wire).toBe(`${told} no EFI program; it needs an .efi file for x86-64 UEFI`);
  expect(journal).toBe(`${told} no EFI program by its name; it needs an .efi file for x86-64 UEFI`);
});

test('no route to the TFTP server', async () => {
  const { wire, journal } = await tried({
    firmware: 'ipxe-bios',
    file: FILE,
    network: { nextServer: '10.99.0.5' },
    wire: [/Request who-has 10\.77\.0\.21 tell 10\.77\.0\.21/, 1],
  });
  const cause =
    "no route to the TFTP server: 10.99.0.5 is not in the node's network 10.77.0.0/24, and no router was offered (option 3)";
  expect({ wire, journal }).toEqual({ wire: cause, journal: cause });
});

test('a missing file', async () => {
  const { wire, journal } = await tried({
    firmware: 'ipxe-bios',
    file: FILE,
    wire: [/ 10\.77\.0\.1\.69 > /, 1],
    event: '"refused"',
  });
  const cause =
    /^missing file: TFTP server 10\.77\.0\.1 has no menus\/start\.kpxe \(TFTP error 1, ".*not found.*"\)$/;
  expect(wire).toMatch(cause);
  expect(journal).toMatch(cause);
});

test('a blocked port', async () => {
  const chain = "nft 'add chain ip t i { type filter hook input priority 0; }'";
  const { wire, journal } = await tried({
    firmware: 'ipxe-bios',
    file: FILE,
    before: async () => {
      const drop = `nft add table ip t; ${chain}; nft add rule ip t i udp dport 69 drop`;
      await lab.lab.space.check(['sh', '-ec', drop]);
    },
    wire: [/\.69: /, 3],
  });
  expect(wire).toBe('blocked port: TFTP server 10.77.0.1 answers nothing on UDP port 69');
  expect(journal).toBe(
    'blocked port: the node was told to load menus/start.kpxe, and no request for it reached UDP port 69 of 10.77.0.1',
  );
});

test('a second DHCP server on the wire', async () => {
  const { wire, journal } = await tried({
    firmware: 'ipxe-bios',
    file: FILE,
    before: () => lab.rogue(),
    wire: [/ 10\.77\.0\.2\.67 > /, 2],
    event: '"other-server"',
  });
  const cause =
    /^second DHCP server on the wire: \S+ and \S+ both give addresses, and the node took 10\.77\.0\.2's$/;
  for (const found of [wire, journal]) {
    expect(found).toMatch(cause);
    expect(found).toContain(IMAGER);
  }
});
