/** Menus as U-Boot reads them: by its `pxe` commands, and as a script. The kernel that starts says what it was given. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { makeEeprom } from '../../firmware-stubs/rig/eeprom.ts';
import { Lab } from '../../firmware-stubs/rig/lab.ts';
import type { RigNode } from '../../firmware-stubs/rig/node.ts';
import { stockFor } from '../../firmware-stubs/rig/scenario/stock.ts';
import { parseEnvironment, writeFlash } from '../../firmware-stubs/rig/uboot-environment.ts';
import { bundle } from '../support/inside.ts';

// Generous: the machine may be busy with other tests.
const IN_TIME = { withinMs: 90_000 };
const MAC = '52:54:00:77:00:11';
const UID = '6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601';

const CONFIG = `state: ./state
cluster: lab
network: { address: 10.77.0.1, prefix: 24 }
boot: { image: debian }
nodes:
  - { name: n1, mac: "${MAC}", address: 10.77.0.11, variables: { pointer: from-the-menu, args: panic=9 } }
`;

/** An environment without any boot logic but one command, where QEMU's machine has its memory. */
const environment = (command: string) => `
scriptaddr=0x40200000
pxefile_addr_r=0x40300000
kernel_addr_r=0x40400000
kernel_comp_addr_r=0x44000000
kernel_comp_size=0x2000000
fdt_addr_r=0x47f00000
ramdisk_addr_r=0x48000000
fdt_high=0xffffffffffffffff
initrd_high=0xffffffffffffffff
bootdelay=-2
autoload=no
tftpblocksize=1468
tftpwindowsize=8
bootcmd=dhcp; setenv serverip 10.77.0.1; ${command}; echo nothing started; reset
`;

let dir: string;
let lab: Lab;
let node: RigNode;
beforeAll(async () => {
  const [stock, program] = await Promise.all([stockFor('arm64'), bundle('imager/cli/main.ts')]);
  dir = mkdtempSync(join(tmpdir(), 'menu-boot-'));
  const config = join(dir, 'imager.yaml');
  writeFileSync(config, CONFIG);
  lab = await Lab.open({ dir });
  await lab.startImager({ config, program: [process.execPath, program] });
  const files = ['--kernel', stock.kernel, '--initrd', stock.initrd];
  const added = await lab.imagerCommand([
    'image',
    'add',
    'debian',
    '--arch',
    'arm64',
    ...files,
    '--args',
    stock.args,
  ]);
  expect(added).toMatchObject({ code: 0 });
  const eeprom = join(dir, 'eeprom');
  makeEeprom(eeprom, 'arm64');
  node = await lab.node({ name: 'n1', rig: 'arm64', mac: MAC, uid: UID, eeprom });
}, 180_000);
afterEach(() => node.cutPower());
afterAll(async () => {
  await lab?.close();
  rmSync(dir, { recursive: true, force: true });
});

test.each([
  ['pxe get && pxe boot', 'pxelinux.cfg/01-52-54-00-77-00-11'],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: U-Boot expands it
  ['tftpboot ${scriptaddr} boot.scr.uimg && source ${scriptaddr}', 'boot.scr.uimg'],
])(
  '%s',
  async (command, file) => {
    await writeFlash(join(dir, 'n1.flash'), parseEnvironment(environment(command)));
    await node.powerOn();
    // The agent of that image complains of the one argument only the menu can have brought.
    await node.waitForLine(/bootwright\.pointer=from-the-menu is not LAYOUT:DEVICE/, IN_TIME);
    const events = await lab.space.check(['curl', '-sS', 'http://10.77.0.1/api/events?node=n1']);
    expect(events).toContain(`"file":"${file}"`);
  },
  180_000,
);
