/** Menus from the running imager: real clients of two nodes, the command line, a folder that changes. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MenuCheck, NodeMenus } from '../../imager/menus/views.ts';
import type { Health } from '../../imager/model/views.ts';
import { CONFIG, NodeShell, ServiceLab } from '../service/lab.ts';

let lab: ServiceLab;
let node1: NodeShell;
let node2: NodeShell;
let stranger: NodeShell;

beforeAll(async () => {
  lab = await ServiceLab.open();
  await lab.space.check(['mkdir', join(lab.dir, 'templates')]);
  write('start4.elf', 'firmware of the board');
  write('hello.txt.liquid', 'hello {{ node.name | default: "stranger" }} at {{ client.address }}\n');
  const own = CONFIG.replace('boot: { image: base }', 'boot: { image: base }\ntemplates: ./templates')
    .replace('userConfig: web }', 'userConfig: web, serial: 8af1c2d3 }')
    .replace('mac: "52:54:00:77:00:02",', 'mac: "52:54:00:77:00:02", boot: { image: other },');
  writeFileSync(lab.config, own);
  await lab.serve();
  [node1, node2, stranger] = (await Promise.all(
    ['11', '12', '99'].map(async (host) => {
      const node = await NodeShell.open(lab.space, `peer${host}`, `52:54:00:77:00:${host}`);
      await node.run(
        `ip address add 10.77.0.${host}/24 dev eth0; mkdir -p ${lab.dir}/${host}; cd ${lab.dir}/${host}`,
      );
      return node;
    }),
  )) as [NodeShell, NodeShell, NodeShell];
  const files = ['--kernel', join(lab.dir, 'kernel'), '--initrd', join(lab.dir, 'initrd')];
  for (const image of ['base', 'other'])
    await lab.json('image', 'add', image, '--arch', 'amd64', ...files, '--args', `console=ttyS0 ${image}`);
});
afterAll(() => lab.close());

function write(path: string, text: string): void {
  writeFileSync(join(lab.dir, 'templates', path), text);
}

const curl = (node: NodeShell, path: string) =>
  node.run(`curl -sS --path-as-is -w '%{http_code}' 'http://10.77.0.1${path}'`);
const tftp = (node: NodeShell, path: string) =>
  node.run(`rm -f got; tftp -m binary 10.77.0.1 -c get '${path}' got; cat got`);

describe('two nodes', () => {
  test('get menus of their own over HTTP', async () => {
    const [one, two] = await Promise.all([curl(node1, '/boot.ipxe'), curl(node2, '/boot.ipxe')]);
    expect(one).toMatch(/^#!ipxe\n# node1: image base, [\s\S]*200$/);
    expect(two).toMatch(/^#!ipxe\n# node2: image other, [\s\S]*200$/);
    for (const path of [
      '//boot.ipxe',
      '/./boot.ipxe',
      '/x/../boot.ipxe',
      '/tftpboot/boot.ipxe',
      '/%2e/boot.ipxe',
    ])
      expect(await curl(node1, path)).toBe(one);
    expect(await curl(node2, '/52-54-00-77-00-01/boot.ipxe')).toBe(one);
  });

  test('and over TFTP, by whatever name their loader uses', async () => {
    const one = await tftp(node1, 'pxelinux.cfg/default');
    expect(one).toContain('KERNEL images/base/kernel');
    for (const path of [
      '/pxelinux.cfg/0A4D000B',
      './pxelinux.cfg/01-52-54-00-77-00-01',
      'ipxe/pxelinux.cfg/default',
    ])
      expect(await tftp(node1, path)).toBe(one);
    expect(await tftp(node2, 'pxelinux.cfg/default')).toContain('KERNEL images/other/kernel');
    expect(await tftp(node2, 'grub/grub.cfg')).toContain("menuentry 'other'");
  });

  test("what menus name is there, under the loader's prefix too", async () => {
    for (const path of [
      'images/base/kernel',
      '/images/base/kernel',
      'ipxe//images/base/kernel',
      '8af1c2d3/kernel8.img',
    ])
      expect(
        await node1.run(
          `rm -f got; tftp -m binary 10.77.0.1 -c get '${path}' got; cmp got ../kernel && echo same`,
        ),
      ).toBe('same\n');
    expect(await tftp(stranger, '8af1c2d3/cmdline.txt')).toMatch(/^console=ttyS0 base .*ip=10\.77\.0\.11::/);
    expect(await tftp(stranger, '8af1c2d3/start4.elf')).toBe('firmware of the board');
  });
});

describe('a stranger', () => {
  test('is told at once that there is nothing, and why', async () => {
    expect(await tftp(stranger, 'grub.cfg')).toMatch(
      /no node of the configuration has address 10\.77\.0\.99/,
    );
    const answer = await curl(stranger, '/grub.cfg');
    expect(answer).toMatch(/404$/);
    expect(answer).toContain('no node of the configuration has address 10.77.0.99');
    expect(await curl(stranger, '/hello.txt')).toBe('hello stranger at 10.77.0.99\n200');
    expect(await curl(node1, '/hello.txt')).toBe('hello node1 at 10.77.0.11\n200');
  });

  test('gets no file outside', async () => {
    for (const path of [
      '/../imager.yaml',
      '/..%2fimager.yaml',
      '/%2e%2e/imager.yaml',
      '/templates/hello.txt.liquid',
    ])
      expect(await curl(stranger, path)).toMatch(/404$/);
    for (const path of ['../imager.yaml', '/etc/passwd', '..\\..\\imager.yaml', 'hello.txt.liquid'])
      expect(await tftp(stranger, path)).toMatch(/not found/i);
  });
});

describe('imager pxe render', () => {
  test('shows what the node gets', async () => {
    const shown = await lab.json<NodeMenus>('pxe', 'render', 'node1', '--file', 'boot.ipxe');
    expect(shown).toMatchObject({ image: 'base', from: 'default', files: [{ menu: 'boot.ipxe' }] });
    expect(`${shown.files[0]?.text}200`).toBe(await curl(node1, '/boot.ipxe'));
    const { stdout } = await lab.imager('pxe', 'render', 'node2', '--file', 'pxelinux');
    expect(stdout).toBe(await tftp(node2, 'pxelinux.cfg/default'));
    const offline = await lab.imager('pxe', 'render', 'node2', '--file', 'pxelinux', '--offline');
    expect(offline).toEqual({ code: 0, stdout, stderr: '' });
    const all = await lab.imager('pxe', 'render', 'node1', '--all');
    expect(all.stdout).toMatch(/^because {2}default: boot\.image of the configuration$/m);
    for (const title of ['boot.ipxe', 'grub/grub.cfg', 'cmdline.txt', 'hello.txt'])
      expect(all.stdout).toContain(`--- ${title}\n`);
  });

  test('says what is wrong with a template, which is not in force then', async () => {
    write('boot.ipxe.liquid', '#!ipxe\n{{ node.nmae }}\n');
    const problems = await lab.space.check([
      ...['sh', '-c'],
      'until curl -sS http://10.77.0.1/health | grep -m1 nmae; do sleep 0.1; done',
    ]);
    expect((JSON.parse(problems) as Health).problems[0]).toContain(
      'templates/boot.ipxe.liquid:2:4: unknown variable',
    );
    expect(await curl(node1, '/boot.ipxe')).toContain('# node1: image base');
    const checked = await lab.imager('pxe', 'render', '--check');
    expect(checked).toMatchObject({ code: 1, stdout: expect.stringContaining('boot.ipxe.liquid:2:4') });
    write('boot.ipxe.liquid', '#!ipxe\necho {{ node.name }}\n');
    await node1.run("until curl -sS http://10.77.0.1/boot.ipxe | grep -q 'echo node1'; do sleep 0.1; done");
    expect(await lab.json<MenuCheck>('pxe', 'render', '--check')).toMatchObject({ nodes: 4, faults: [] });
  });

  test('an imager does not start with a broken folder', async () => {
    write('boot.ipxe.liquid', '{{ node.nmae }}');
    await lab.stop('TERM');
    const { code, stderr } = await lab.run(['serve', '--config', lab.config]);
    expect(code).toBe(1);
    expect(stderr).toContain('imager: templates/boot.ipxe.liquid:1:4: unknown variable node.nmae');
  });
});
