/** An imager whose state folder has images that an earlier version added, unsigned: what it says, does, and how that ends. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asKernel } from '../support/kernels.ts';
import { ON_LOOPBACK, Served } from '../support/served.ts';

const dir = mkdtempSync(join(tmpdir(), 'unsigned-'));
const WHY =
  'image old is not signed: an earlier version added it, or somebody else; look at it (imager image inspect old, imager image verify old) before "imager image sign old"';

let imager: Served;

beforeAll(async () => {
  writeFileSync(join(dir, 'imager.yaml'), `${ON_LOOPBACK}\nnodes: []\n`);
  imager = await Served.start(dir);
  await imager.addImage('old', 'amd64', asKernel('amd64', Buffer.alloc(4096, 'a kernel ')));
  await imager.stop();
  const entry = join(dir, 'state/images/old/image.json');
  const { signature: _, ...unsigned } = JSON.parse(readFileSync(entry, 'utf8'));
  writeFileSync(entry, JSON.stringify(unsigned));
  imager = await Served.start(dir);
}, 60_000);
afterAll(async () => {
  await imager?.stop();
  rmSync(dir, { recursive: true, force: true });
});

test('it says at its start what to do, boots nobody with them, and does once that is done', async () => {
  const warnings = () =>
    imager
      .said()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as { level: number; msg?: string })
      .filter(({ level, msg }) => level === 40 && msg === WHY);
  expect(warnings()).toHaveLength(1);
  expect(await imager.get('/images/old/kernel')).toMatchObject({ status: 500 });
  expect((await imager.run('image', 'list')).stderr).toContain(WHY);
  expect(await imager.run('image', 'verify', 'old')).toMatchObject({
    code: 1,
    stderr: `imager: ${WHY}; its files are what its image.json says\n`,
  });
  const explained = await imager.run('pxe', 'explain', '127.0.0.1');
  expect(explained.stdout).toContain(WHY);
  expect(await imager.run('image', 'inspect', 'old')).toMatchObject({ code: 0, stderr: '' });
  expect(await imager.run('image', 'sign', 'old')).toMatchObject({ code: 0, stderr: '' });
  expect(await imager.get('/images/old/kernel')).toMatchObject({ status: 200 });
  expect(await imager.run('image', 'list')).toMatchObject({ code: 0, stderr: '' });
});

test('a file that is not what was signed is said to be so once a node has asked for it', async () => {
  writeFileSync(join(dir, 'state/images/old/initrd'), 'AN initrd');
  expect(await imager.get('/images/old/initrd')).toMatchObject({ status: 500 });
  const why = 'image old is not what was added: initrd has sha256';
  expect((await imager.run('image', 'list')).stderr).toContain(why);
  expect((await imager.run('pxe', 'explain', '127.0.0.1')).stdout).toContain(why);
});
