/** `imager pxe render --offline`: a configuration's menus and images, without an imager. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BootTable } from '../../imager/images/table.ts';
import { temporarySigner } from '../../imager/signing/signer.ts';
import { imagerProgram, runVerb } from '../support/imager-verbs.ts';
import { asKernel } from '../support/kernels.ts';

let dir: string;
beforeAll(async () => {
  await imagerProgram();
  dir = mkdtempSync(join(tmpdir(), 'cli-'));
  mkdirSync(join(dir, 'templates'));
  configure(['n1']);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function configure(nodes: string[], boot = 'image: base'): void {
  const entries = nodes.map(
    (name, i) => `  - { name: ${name}, mac: "52:54:00:00:00:0${i}", address: 10.0.0.1${i} }\n`,
  );
  const head =
    'state: ./state\ncluster: c\ntemplates: ./templates\nnetwork: { address: 10.0.0.1, prefix: 24 }\n';
  writeFileSync(join(dir, 'imager.yaml'), `${head}boot: { ${boot} }\nnodes:\n${entries.join('')}`);
}

const render = (...args: string[]) => runVerb(['pxe', 'render', '--offline', ...args], { cwd: dir });
const check = (...args: string[]) => render('--check', ...args);

test('without a boot table nothing is said against images; with one, each node without its image is named', async () => {
  expect(await check()).toEqual({
    code: 0,
    stdout: `note: no boot table in ${dir}/state: images are not checked\n7 menus for 1 node: no faults\n`,
    stderr: '',
  });
  const table = await BootTable.open(join(dir, 'state/images'), temporarySigner());
  expect(await check()).toEqual({
    code: 1,
    stdout:
      'n1: image base is not in the boot table (boot.image of the configuration)\n7 menus for 1 node: 1 fault\n',
    stderr: 'imager: would not get what they are to boot: n1\n',
  });
  configure(['n1', 'n2']);
  const json = await check('--json');
  expect(json.code).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({ nodes: 2, faults: [{ node: 'n1' }, { node: 'n2' }] });
  writeFileSync(join(dir, 'kernel'), asKernel('amd64', Buffer.alloc(4096)));
  writeFileSync(join(dir, 'initrd'), 'initrd');
  const files = { kernel: join(dir, 'kernel'), initrd: join(dir, 'initrd') };
  await table.add({ name: 'base', arch: 'amd64', args: '', ...files });
  await table.close();
  expect(await check()).toEqual({ code: 0, stdout: '7 menus for 2 nodes: no faults\n', stderr: '' });
  configure(['n1'], 'image: base, menu: { items: [{ name: Rescue, file: images/rescue/nbi.0 }] }');
  expect(await check()).toEqual({
    code: 1,
    stdout:
      'the boot menu names images/rescue/nbi.0: there is no such file here until an image rescue with it is added\n' +
      '7 menus for 1 node: 1 fault\n',
    stderr: 'imager: a wrong template is not in force, and a wrong file boots nobody\n',
  });
});

test('where no node has an image that is said: it is no fault', async () => {
  configure(['n1', 'n2'], '');
  const { code, stdout } = await check();
  expect(code).toBe(0);
  expect(stdout).toContain('\nnote: no node has an image to boot, as far as is known here\n');
  expect(stdout).toMatch(/\n\d+ menus for 2 nodes: no faults\n$/);
  writeFileSync(
    join(dir, 'imager.yaml'),
    'state: ./state\ncluster: c\nnetwork: { address: 10.0.0.1, prefix: 24 }\n',
  );
  expect((await check()).stdout).toBe('7 menus for 0 nodes: no faults\n');
});

test('a node that gets none of its menus: shown, said on stderr, exit code 1', async () => {
  configure(['n1'], '');
  const why = 'the configuration has no boot.image';
  const failed = { code: 1, stderr: expect.stringMatching(`^imager: n1 gets none of these menus: .*${why}`) };
  expect(await render('n1')).toMatchObject({ ...failed, stdout: expect.stringContaining(why) });
  const json = await render('n1', '--json');
  expect(json).toMatchObject(failed);
  expect(JSON.parse(json.stdout)).toMatchObject({ node: 'n1', image: null });
  expect(await render('n1', '--json', '--file', 'grub')).toMatchObject(failed);
  // One that it gets is enough.
  writeFileSync(join(dir, 'templates/name.txt.liquid'), '{{ node.name }}');
  expect(await render('n1', '--json')).toMatchObject({ code: 0, stderr: '' });
  expect(await render('n1', '--json', '--file', 'grub')).toMatchObject(failed);
});
