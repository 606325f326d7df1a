import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hexAddress, MENUS, menuPath } from '../../imager/menus/path.ts';

const asker = (...folders: string[]) => ({ by: 'asker', folders });
const mac = { by: 'mac', mac: '52:54:00:77:00:11' };
const uid = { by: 'uid', uid: '6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601' };
const address = { by: 'address', address: '10.77.0.11' };

/** What U-Boot, PXELINUX and GRUB ask for in turn, and Raspberry Pi's boot loader. */
test.each([
  ['boot.ipxe', 'boot.ipxe', asker()],
  ['autoexec.ipxe', 'autoexec.ipxe', asker()],
  ['52-54-00-77-00-11/boot.ipxe', 'boot.ipxe', asker('52-54-00-77-00-11')],
  ['pxelinux.cfg/6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601', 'pxelinux.cfg/default', uid],
  ['pxelinux.cfg/01-52-54-00-77-00-11', 'pxelinux.cfg/default', mac],
  ['pxelinux.cfg/0A4D000B', 'pxelinux.cfg/default', address],
  ['pxelinux.cfg/0a4d000b', 'pxelinux.cfg/default', address],
  ['pxelinux.cfg/0A4D000', 'pxelinux.cfg/default', asker()],
  ['pxelinux.cfg/0', 'pxelinux.cfg/default', asker()],
  ['pxelinux.cfg/default-arm-bcm283x-rpi', 'pxelinux.cfg/default', asker()],
  ['pxelinux.cfg/default-arm', 'pxelinux.cfg/default', asker()],
  ['pxelinux.cfg/default', 'pxelinux.cfg/default', asker()],
  ['ipxe/pxelinux.cfg/default', 'pxelinux.cfg/default', asker('ipxe')],
  ['extlinux/extlinux.conf', 'extlinux/extlinux.conf', asker('extlinux')],
  ['grub.cfg', 'grub/grub.cfg', asker()],
  ['boot/grub/grub.cfg', 'grub/grub.cfg', asker('boot', 'grub')],
  ['grub/grub.cfg-01-52-54-00-77-00-11', 'grub/grub.cfg', mac],
  ['grub/grub.cfg-0A4D000B', 'grub/grub.cfg', address],
  ['grub/grub.cfg-0A4D', 'grub/grub.cfg', asker('grub')],
  ['boot.scr.uimg', 'boot.scr.uimg', asker()],
  ['boot.scr', 'boot.scr.uimg', asker()],
  ['8af1c2d3/config.txt', 'config.txt', asker('8af1c2d3')],
  ['cmdline.txt', 'cmdline.txt', asker()],
])('%s is %s', (path, menu, whose) => {
  expect(menuPath(path)).toEqual({ kind: 'menu', menu, whose });
});

test.each([
  ['8af1c2d3/kernel8.img', 'kernel'],
  ['8af1c2d3/kernel7l.img', 'kernel'],
  ['8af1c2d3/kernel_2712.img', 'kernel'],
  ['8af1c2d3/kernel', 'kernel'],
  ['8af1c2d3/initrd', 'initrd'],
  ['8af1c2d3/initramfs8', 'initrd'],
  ['8af1c2d3/dtb', 'dtb'],
])('%s is a file of the image', (path, file) => {
  expect(menuPath(path)).toEqual({ kind: 'boot-file', file, whose: asker('8af1c2d3') });
});

test.each([
  'pxelinux.cfg',
  'pxelinux.cfg/01-52-54-00-77-00',
  'pxelinux.cfg/0A4D000B0',
  'pxelinux.cfg/00000000-0000-0000-0000-000000000000',
  'pxelinux.cfg/serial:8af1c2d3',
  'pxelinux.cfg/toString',
  'grub.cfg-',
  'grub.cfg-x',
  'kernel.bak',
  'kernelx',
  'bootXipxe',
  'start4.elf',
  'constructor',
  '__proto__',
])('%s is no menu', (path) => {
  expect(menuPath(path)).toBeUndefined();
});

test('every menu is known under its own name', () => {
  for (const menu of MENUS) expect(menuPath(menu)).toMatchObject({ menu });
});

test('whatever a path is, a name of a table comes out, or nothing', () => {
  const path = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc
      .array(fc.oneof(fc.constantFrom('pxelinux.cfg', 'grub.cfg', 'boot.ipxe', '..', '%2e'), fc.string()))
      .map((parts) => parts.join('/')),
  );
  fc.assert(
    fc.property(path, (text) => {
      const found = menuPath(text);
      if (found?.kind === 'menu') expect(MENUS).toContain(found.menu);
      else if (found !== undefined) expect(['kernel', 'initrd', 'dtb']).toContain(found.file);
    }),
    { numRuns: 2000 },
  );
});

test('a hexadecimal address is read back', () => {
  fc.assert(
    fc.property(fc.ipV4(), (text) => {
      expect(menuPath(`pxelinux.cfg/${hexAddress(text)}`)).toMatchObject({ whose: { address: text } });
    }),
  );
});
