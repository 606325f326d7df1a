import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { NotServed } from '../../imager/images/boot-files.ts';
import { BootTable } from '../../imager/images/table.ts';
import { BootTree } from '../../imager/images/tree.ts';
import type { Menus } from '../../imager/menus/menus.ts';
import { checkMenus, menusOf } from '../../imager/menus/show.ts';
import { temporarySigner } from '../../imager/signing/signer.ts';
import { linuxImage, MenuLab, POINTER, textOf } from './world.ts';

const NODE1 = '10.77.0.11';
const NODE2 = '10.77.0.12';
const PI = '10.77.0.13';
const POOLED = '10.77.0.100';
const STRANGER = '10.77.0.150';

let lab: MenuLab;
let menus: Menus;
beforeEach(async () => {
  lab = new MenuLab();
  menus = await lab.open();
});
afterEach(() => lab.close());

describe('built-in menus', () => {
  test.each([
    ['boot.ipxe', NODE1, 'node1.boot.ipxe'],
    ['pxelinux.cfg/default', NODE1, 'node1.pxelinux'],
    ['grub/grub.cfg', NODE1, 'node1.grub.cfg'],
    ['pxelinux.cfg/default', NODE2, 'node2.pxelinux'],
    ['8af1c2d3/config.txt', STRANGER, 'pi.config.txt'],
    ['8af1c2d3/cmdline.txt', STRANGER, 'pi.cmdline.txt'],
  ])('%s for %s is %s', async (path, address, golden) => {
    await expect(textOf(menus, path, address)).toMatchFileSnapshot(projectFile(`fixtures/menus/${golden}`));
  });

  test('U-Boot scripts are images that mkimage reads', async () => {
    for (const [address, golden] of [
      [NODE1, 'node1.boot.scr'],
      [NODE2, 'node2.boot.scr'],
    ] as const) {
      const served = menus.find('boot.scr.uimg', { address });
      if (served === undefined || !('bytes' in served)) throw new Error('no bytes');
      const file = join(lab.dir, 'boot.scr');
      writeFileSync(file, served.bytes);
      const listed = execFileSync('mkimage', ['-l', file], { encoding: 'utf8' });
      expect(listed).toMatch(/Image Type: .* Linux Script \(uncompressed\)/);
      execFileSync('dumpimage', ['-T', 'script', '-p', '0', '-o', `${file}.txt`, file]);
      const text = Buffer.from(served.bytes.subarray(72)).toString();
      await expect(text).toMatchFileSnapshot(projectFile(`fixtures/menus/${golden}`));
    }
  });

  test('GRUB takes its configuration', () => {
    for (const address of [NODE1, NODE2, PI, POOLED]) {
      const file = join(lab.dir, 'grub.cfg');
      writeFileSync(file, textOf(menus, 'grub.cfg', address) ?? '');
      execFileSync('grub-script-check', [file]);
    }
  });

  test('whatever values the configuration has, menus keep their lines or are refused', async () => {
    const node = lab.config.nodes[0]!;
    const lines = (path: string) => textOf(menus, path, NODE1)?.split('\n');
    const paths = ['boot.ipxe', 'pxelinux.cfg/default', 'grub.cfg', 'cmdline.txt', 'config.txt'];
    const before = new Map(paths.map((path) => [path, lines(path)]));
    const value = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme-ascii' }));
    const forGrub: string[] = [];
    let taken = 0;
    fc.assert(
      fc.property(value, fc.constantFrom(...paths), (args, path) => {
        node.variables = { pointer: 'ipxe-script:/dev/vda', args };
        let text: string[];
        try {
          text = lines(path) ?? [];
        } catch (error) {
          expect(error).toBeInstanceOf(NotServed);
          return;
        }
        taken++;
        const expected = before.get(path)!;
        expect(text.length).toBe(expected.length);
        if (path === 'grub.cfg') forGrub.push(...text);
        else expect(text).toEqual(expected.map((line) => line.replace(/(?<=\/dev\/vda )quiet/, () => args)));
      }),
      { numRuns: 200 },
    );
    const file = join(lab.dir, 'grub.cfg');
    writeFileSync(file, forGrub.join('\n'));
    execFileSync('grub-script-check', [file]);
    expect(forGrub.length).toBeGreaterThan(50);
    expect(taken).toBeGreaterThan(50);
  });
});

describe('whose file it is', () => {
  test('a name that says so counts before the address', () => {
    const own = textOf(menus, 'boot.ipxe', NODE1);
    expect(own).toContain('image debian-12');
    expect(textOf(menus, '52-54-00-77-00-11/boot.ipxe', STRANGER)).toBe(own);
    expect(textOf(menus, '6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601/boot.ipxe', NODE2)).toBe(own);
    const menu = textOf(menus, 'pxelinux.cfg/default', NODE1);
    for (const key of ['01-52-54-00-77-00-11', '6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601', '0A4D000B'])
      expect(textOf(menus, `pxelinux.cfg/${key}`, NODE2)).toBe(menu);
    // As PXELINUX 6.04 asked for it on the x86 rig, behind iPXE.
    expect(textOf(menus, 'pxelinux.cfg/3e2c1a6f-5d0b-7f4e-8a91-b2c3d4e5f601', NODE2)).toBe(menu);
    expect(textOf(menus, 'pxelinux.cfg/0A4D', NODE1)).toBe(menu);
    expect(textOf(menus, 'tftpboot/pxelinux.cfg/default', NODE1)).toBe(menu);
    expect(textOf(menus, 'grub/grub.cfg-01-52-54-00-77-00-11', STRANGER)).toBe(
      textOf(menus, 'grub.cfg', NODE1),
    );
  });

  test('a lease says it as well', () => {
    expect(textOf(menus, 'boot.ipxe', POOLED)).toContain('# pooled: image standard');
    expect(textOf(menus, 'pxelinux.cfg/0A4D0064', STRANGER)).toContain('# pooled');
  });

  test.each([
    ['grub.cfg', `no node of the configuration has address ${STRANGER}`],
    ['initrd', `no node of the configuration has address ${STRANGER}`],
    ['pxelinux.cfg/01-52-54-00-77-00-99', 'no node of the configuration has MAC 52:54:00:77:00:99'],
    ['pxelinux.cfg/6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f609', 'has UUID 6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f609'],
    ['pxelinux.cfg/0A4D0096', 'has address 10.77.0.150'],
    ['52-54-00-77-00-99/boot.ipxe', 'has MAC 52:54:00:77:00:99'],
  ])('%s for a stranger: %s', (path, reason) => {
    expect(() => menus.find(path, { address: STRANGER })).toThrow(NotServed);
    expect(() => menus.find(path, { address: STRANGER })).toThrow(reason);
  });

  test('iPXE at an address the imager did not give is asked for its MAC, once', () => {
    for (const path of ['boot.ipxe', 'ipxe/autoexec.ipxe'])
      expect(textOf(menus, path, STRANGER)).toContain(':hexhyp}/boot.ipxe');
    expect(textOf(menus, 'ipxe/52-54-00-77-00-11/boot.ipxe', STRANGER)).toContain('# node1');
    expect(() => menus.find('ipxe/52-54-00-77-00-99/boot.ipxe', { address: STRANGER })).toThrow(NotServed);
  });

  test('files of the image, as Raspberry Pi asks for them', () => {
    expect(menus.find('8af1c2d3/kernel8.img', { address: STRANGER })).toEqual({
      image: 'board',
      file: 'kernel',
    });
    expect(menus.find('8AF1C2D3/initrd', { address: STRANGER })).toEqual({ image: 'board', file: 'initrd' });
    expect(menus.find('kernel', { address: PI })).toEqual({ image: 'board', file: 'kernel' });
    expect(menus.find('dtb', { address: PI })).toEqual({ image: 'board', file: 'dtb' });
    expect(() => menus.find('dtb', { address: NODE1 })).toThrow('image debian-12 has no dtb');
    expect(menus.find('8af1c2d3/start4.elf', { address: PI })).toBeUndefined();
  });
});

describe('which image', () => {
  const choice = (name: string) => menus.choiceFor(lab.config.nodes.find((node) => node.name === name)!);

  test('the pointer, the node, the configuration', () => {
    expect(choice('node1')).toMatchObject({ image: 'debian-12', from: 'pointer' });
    expect(choice('node2')).toMatchObject({ image: 'board', from: 'node' });
    expect(choice('pooled')).toMatchObject({ image: 'standard', from: 'default' });
  });

  test('a pointer without attempts means its fallback image, as for firmware', () => {
    lab.pointers.node1 = { ...POINTER, phase: 'deploy', attempts: 0, fallback: 'board' };
    expect(choice('node1')).toMatchObject({ image: 'board', from: 'pointer' });
    lab.pointers.node1 = { ...POINTER, phase: 'deploy', attempts: 1, fallback: 'board' };
    expect(choice('node1')).toMatchObject({ image: 'debian-12' });
    lab.pointers.node1 = { ...POINTER, phase: 'deploy', attempts: 0 };
    expect(choice('node1')).toMatchObject({ image: 'debian-12' });
  });

  test('an image that is not there, or no kernel, is said', () => {
    lab.pointers.node1 = { ...POINTER, image: 'gone' };
    expect(() => menus.find('boot.ipxe', { address: NODE1 })).toThrow(
      'image gone is not in the boot table (its boot pointer names it (phase ready))',
    );
    lab.pointers.node1 = { ...POINTER, image: 'loader' };
    expect(textOf(menus, 'boot.ipxe', NODE1)).toContain('images/loader/boot.ipxe');
    expect(() => menus.find('grub.cfg', { address: NODE1 })).toThrow('only iPXE can start it');
    expect(() => menus.find('kernel', { address: NODE1 })).toThrow('image loader has no kernel');
  });

  test('no image at all', async () => {
    const bare = new MenuLab();
    delete bare.config.boot.image;
    const open = await bare.open();
    expect(() => open.find('boot.ipxe', { address: POOLED })).toThrow(
      'no image to boot: no boot pointer is known',
    );
    bare.close();
  });
});

describe("the operator's folder", () => {
  test('templates and files take the place of the built-in ones', async () => {
    lab.write(
      'boot.ipxe.liquid',
      '#!ipxe\n# {{ node.name }} {{ node.variables.console | default: "none" }}\n',
    );
    lab.write('start4.elf', 'firmware');
    lab.write('pxelinux.cfg/0A4D.liquid', 'SAY {{ client.address }}{% if node %} {{ node.name }}{% endif %}');
    lab.write('ipxe/arm64.efi', 'own iPXE');
    menus = await lab.open();
    expect(textOf(menus, 'boot.ipxe', NODE1)).toBe('#!ipxe\n# node1 none\n');
    expect(textOf(menus, 'autoexec.ipxe', NODE1)).toBe('#!ipxe\n# node1 none\n');
    expect(menus.find('8af1c2d3/start4.elf', { address: PI })).toEqual({
      path: join(lab.templates, 'start4.elf'),
    });
    expect(menus.find('ipxe/arm64.efi', { address: STRANGER })).toEqual({
      path: join(lab.templates, 'ipxe/arm64.efi'),
    });
    expect(textOf(menus, 'pxelinux.cfg/0A4D', STRANGER)).toBe(`SAY ${STRANGER}`);
    expect(textOf(menus, 'pxelinux.cfg/0A4D', NODE1)).toBe(`SAY ${NODE1} node1`);
    expect(textOf(menus, 'pxelinux.cfg/0A4D0', NODE1)).toContain('KERNEL');
  });

  test('strangers are given what does not ask for a node', async () => {
    lab.write(
      'pxelinux.cfg/default.liquid',
      '{% if node %}LABEL {{ image.name }}{% else %}LOCALBOOT 0{% endif %}',
    );
    lab.write('grub/grub.cfg.liquid', 'echo {{ node.name }}');
    lab.write('extlinux/extlinux.conf', 'static');
    menus = await lab.open();
    expect(textOf(menus, 'pxelinux.cfg/default', STRANGER)).toBe('LOCALBOOT 0');
    expect(textOf(menus, 'pxelinux.cfg/default', NODE1)).toBe('LABEL debian-12');
    expect(() => textOf(menus, 'grub.cfg', STRANGER)).toThrow('grub/grub.cfg has nothing for others');
    expect(menus.find('extlinux/extlinux.conf', { address: STRANGER })).toHaveProperty('path');
    expect(menus.problems()).toEqual([]);
  });

  test('a template that fails for a node: not found, a problem until it works, said once', async () => {
    lab.write('boot.ipxe.liquid', '#!ipxe\necho {{ node.variables.word }}\n');
    menus = await lab.open();
    lab.config.nodes[1]!.variables = { word: 'a;b' };
    for (let i = 0; i < 3; i++)
      expect(() => textOf(menus, 'boot.ipxe', NODE2)).toThrow(
        "boot.ipxe could not be made: the imager's log says why",
      );
    const problem =
      'for node2: templates/boot.ipxe.liquid:2:6: the value contains ; (character 2), which the firmware would take for itself';
    expect(menus.problems()).toEqual([problem]);
    expect(menus.stats()).toEqual({ 'failed.boot.ipxe': 3 });
    expect(lab.logged.filter((line) => line.includes('character 2'))).toHaveLength(1);
    lab.config.nodes[1]!.variables = { word: 'fine' };
    expect(textOf(menus, 'boot.ipxe', NODE2)).toBe('#!ipxe\necho fine\n');
    expect(menus.problems()).toEqual([]);
  });

  test('node1 lacks the variable: the place is named', async () => {
    lab.write('_part.liquid', 'x\ny {{ node.variables.site }}');
    lab.write('boot.ipxe.liquid', '#!ipxe\n{% render "_part" %}\n');
    menus = await lab.open();
    expect(menus.find('_part', { address: NODE1 })).toBeUndefined();
    expect(checkMenus(menus, lab.config.nodes.slice(0, 1)).faults).toEqual([
      {
        node: 'node1',
        menu: 'boot.ipxe',
        error: 'templates/_part.liquid:2:6: undefined variable: node.variables.site',
      },
    ]);
  });
});

test('no path opens a file but those of the tables', async () => {
  lab.write('start4.elf', 'OPEN firmware');
  lab.write('sub/file', 'OPEN too');
  writeFileSync(join(lab.dir, 'secret'), 'SECRET');
  writeFileSync(join(lab.dir, 'state'), 'SECRET');
  menus = await lab.open();
  const table = await BootTable.open(join(lab.dir, 'images'), temporarySigner());
  const tree = new BootTree(table, { 'ipxe/x.kpxe': join(lab.templates, 'sub/file') }, menus);
  const part = fc.oneof(
    fc.constantFrom(
      '..',
      '.',
      '',
      '%2e%2e',
      '..%2f',
      '\0',
      'sub',
      'file',
      'start4.elf',
      'images',
      'ipxe',
      'x.kpxe',
    ),
    fc.constantFrom(
      'secret',
      'state',
      'etc',
      'passwd',
      'pxelinux.cfg',
      '8af1c2d3',
      'boot.ipxe',
      'templates',
      '__proto__',
    ),
    fc.constantFrom(...lab.dir.split('/')),
    fc.string({ unit: 'binary', maxLength: 6 }),
  );
  let opened = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(part, { maxLength: 8 }),
      fc.constantFrom('/', '\\', '//', '/./', '%2f'),
      async (parts, separator) => {
        const file = await tree.open(parts.join(separator), { address: NODE1 }).catch((error: unknown) => {
          expect(error).toBeInstanceOf(NotServed);
          return undefined;
        });
        if (file === undefined) return;
        opened++;
        const bytes = Buffer.alloc(file.size);
        await file.read(bytes, 0);
        await file.close();
        expect(bytes.toString()).toMatch(/^OPEN|^#!ipxe|# node1/);
      },
    ),
    { numRuns: 3000 },
  );
  expect(opened).toBeGreaterThan(20);
});

test('what is shown says under which names, from what and why', () => {
  const shown = menusOf(menus, lab.config.nodes[0]!);
  expect(shown).toMatchObject({ node: 'node1', image: 'debian-12', from: 'pointer' });
  expect(shown.files[0]).toMatchObject({
    menu: 'boot.ipxe',
    template: 'built-in boot.ipxe',
    error: null,
    paths: ['52-54-00-77-00-11/boot.ipxe', '6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601/boot.ipxe', 'boot.ipxe'],
  });
  for (const { paths, text } of shown.files)
    if (!paths.at(-1)!.startsWith('boot.scr'))
      for (const path of paths) expect(textOf(menus, path, NODE1)).toBe(text);
  lab.images = [linuxImage('standard')];
  const missing = (node: string, image: string, why: string) => ({
    ...{ node, menu: '', error: `image ${image} is not in the boot table (${why})` },
  });
  const own = 'boot.image of the node in the configuration';
  expect(checkMenus(menus, lab.config.nodes)).toMatchObject({
    nodes: 4,
    faults: [
      missing('node1', 'debian-12', 'its boot pointer names it (phase ready)'),
      missing('node2', 'board', own),
      missing('pi', 'board', own),
    ],
    notes: [],
  });
});
