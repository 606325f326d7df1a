import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Library, LibraryError } from '../../imager/menus/library.ts';
import { MenuLab, textOf } from './world.ts';

const NODE1 = '10.77.0.11';
let lab: MenuLab;
beforeEach(() => {
  lab = new MenuLab();
});
afterEach(() => lab.close());

async function refusal(): Promise<string> {
  const error = await Library.open(lab.templates, lab.log).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(LibraryError);
  return (error as Error).message.replaceAll(lab.dir, 'DIR');
}

describe('a folder with faults in it is not opened', () => {
  test.each([
    ['{{ node.nmae }}', '1:4: unknown variable node.nmae: node has name, mac, uid'],
    ['\n  {{ nod.name }}', '2:6: unknown variable nod: there is node, image, pointer'],
    ['{{ cluster.name }}', 'unknown variable cluster.name: cluster has no parts'],
    ['{% if node.nmae %}x{% endif %}', 'unknown variable node.nmae'],
    ['{% if node %}', '1:1: tag {% if node %} not closed'],
    ['x\n{{ node.name', '2:1: output "{{ node.name" not closed'],
    ['{% nonsense %}', '1:1: tag "nonsense" not found'],
    ['{% layout "x" %}', 'tag "layout" not found'],
    ['{{ node.name | nonsense }}', '1:1: undefined filter: nonsense'],
    ['{{ node.name | raw }}', 'undefined filter: raw'],
    ['{% render "gone" %}', 'Failed to lookup "gone"'],
    ['{% render "../../../../etc/passwd" %}', 'Failed to lookup'],
    ['{{ node.constructor }}', 'unknown variable node.constructor'],
  ])('%j: %s', async (text, fault) => {
    lab.write('boot.ipxe.liquid', text);
    expect(await refusal()).toMatch(/^templates\/boot\.ipxe\.liquid:\d+:\d+: /);
    expect(await refusal()).toContain(fault);
  });

  test('all faults at once, each with its place', async () => {
    lab.write('a.liquid', '{{ x }}');
    lab.write('b/c.liquid', '\n{{ y }}');
    expect((await refusal()).split('\n').map((line) => line.slice(0, 24))).toEqual([
      'templates/a.liquid:1:4: ',
      'templates/b/c.liquid:2:4',
    ]);
  });

  test.each([
    [
      () => lab.write('images/debian-12/kernel', ''),
      "templates/images/debian-12/kernel: images/ is the boot table's",
    ],
    [
      () => {
        lab.write('boot.ipxe', '');
        lab.write('boot.ipxe.liquid', '');
      },
      'boot.ipxe is there both as a file and as a template',
    ],
    [() => lab.write('a\\b', ''), 'no loader could ask for a file of this name'],
    [
      () => symlinkSync('/etc/passwd', join(lab.templates, 'passwd')),
      'DIR/templates/passwd: is a link that leads out',
    ],
    [() => lab.write('big.liquid', 'x'.repeat(300_000)), '300000 bytes, at most 262144'],
    [() => writeFileSync(join(lab.templates, 'x.liquid'), Buffer.from([0xff, 0xfe])), 'is not UTF-8 text'],
    [() => rmSync(lab.templates, { recursive: true }), 'DIR/templates: no such folder'],
  ])('case %#', async (make, fault) => {
    make();
    expect(await refusal()).toContain(fault);
  });
});

test('links within the folder, hidden files, links to nowhere, and what begins with _', async () => {
  lab.write('firmware/start4.elf', 'x');
  symlinkSync('firmware/start4.elf', join(lab.templates, 'start4.elf'));
  symlinkSync('gone', join(lab.templates, 'nowhere'));
  lab.write('.git/config', 'x');
  lab.write('boot.ipxe.liquid~', '{{ x }}');
  lab.write('_notes.txt', 'of use to other templates, if at all');
  lab.write('_drafts/start4.elf', 'x');
  const { shelf } = await Library.open(lab.templates, lab.log);
  expect([...shelf.files.keys()]).toEqual(['firmware/start4.elf', 'start4.elf']);
  expect(shelf.files.get('start4.elf')).toBe(join(lab.templates, 'firmware/start4.elf'));
});

test('a change counts, a broken one waits, and is said once', async () => {
  lab.write('boot.ipxe.liquid', '#!ipxe\n# one');
  const menus = await lab.open();
  const { library } = menus;
  lab.write('boot.ipxe.liquid', '#!ipxe\n# two, longer');
  await library.refresh();
  expect(textOf(menus, 'boot.ipxe', NODE1)).toBe('#!ipxe\n# two, longer');
  expect(library.problems()).toEqual([]);

  lab.write('boot.ipxe.liquid', '#!ipxe\n{{ node.nmae }}');
  lab.write('new.txt', 'x');
  for (let i = 0; i < 3; i++) await library.refresh();
  expect(textOf(menus, 'boot.ipxe', NODE1)).toBe('#!ipxe\n# two, longer');
  expect(menus.find('new.txt', { address: NODE1 })).toBeUndefined();
  expect(menus.problems()).toEqual([
    expect.stringMatching(
      /^templates as they were .* in force: templates\/boot\.ipxe\.liquid:2:4: unknown variable/,
    ),
  ]);
  expect(lab.logged.filter((line) => line.includes('nmae'))).toHaveLength(1);

  lab.write('boot.ipxe.liquid', '#!ipxe\n# three');
  await library.refresh();
  expect(textOf(menus, 'boot.ipxe', NODE1)).toBe('#!ipxe\n# three');
  expect(menus.find('new.txt', { address: NODE1 })).toHaveProperty('path');
  expect(menus.problems()).toEqual([]);
});

test('a folder that goes away is a problem, and no more once it is back', async () => {
  lab.write('boot.ipxe.liquid', '#!ipxe\n# one');
  const menus = await lab.open();
  renameSync(lab.templates, `${lab.templates}.old`);
  await menus.library.refresh();
  expect(menus.problems()).toEqual([expect.stringContaining('no such folder')]);
  expect(textOf(menus, 'boot.ipxe', NODE1)).toBe('#!ipxe\n# one');
  mkdirSync(lab.templates);
  await menus.library.refresh();
  expect(menus.problems()).toEqual([]);
  expect(textOf(menus, 'boot.ipxe', NODE1)).toContain('bw_cmdline');
});

describe('what a template may use up', () => {
  test.each([
    [
      'time',
      '{% for i in (1..9000) %}{% for j in (1..9000) %}{% if i == j %}{% endif %}{% endfor %}{% endfor %}',
      'limit',
    ],
    [
      'memory',
      '{% assign s = "xxxxxxxxxxxxxxxx" %}{% for i in (1..99) %}{% assign s = s | append: s %}{% endfor %}',
      'limit',
    ],
    [
      'a value',
      '{% assign s = "xxxxxxxxxxxxxxxx" %}{% for i in (1..99) %}{% capture s %}{{ s }}{{ s }}{% endcapture %}{% endfor %}',
      'at most 16384',
    ],
    ['output', `{% for i in (1..90000) %}${'x'.repeat(100)}{% endfor %}`, 'at most 1048576'],
    ['itself', '{% render "boot.ipxe" %}', 'boot.ipxe.liquid'],
  ])('%s', async (_what, text, fault) => {
    lab.write('boot.ipxe.liquid', text);
    const menus = await lab.open().catch((error: Error) => error);
    if (menus instanceof Error) return expect(menus.message).toContain(fault);
    expect(() => textOf(menus, 'boot.ipxe', NODE1)).toThrow('could not be made');
    expect(menus.problems()[0]).toContain(fault);
  });
});
