/** A running imager that is asked to read its images again, and one that is stopped in the middle of something. */
import { readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ServiceLab } from '../service/lab.ts';

let lab: ServiceLab;
beforeAll(async () => {
  lab = await ServiceLab.open();
});
afterAll(() => lab.close());

test('image verify says what it read and what differs; damaged images are told of, not left out', async () => {
  await lab.serve();
  const files = ['--kernel', join(lab.dir, 'kernel'), '--initrd', join(lab.dir, 'initrd')];
  await lab.json('image', 'add', 'base', '--arch', 'amd64', ...files);
  const good = await lab.imager('image', 'verify', 'base');
  expect(good).toMatchObject({ code: 0, stderr: '' });
  expect(good.stdout).toMatch(
    /^base: read 2 added files, 790000 bytes; all as added 20.*\n.*\n {2}kernel .* the same\n/,
  );
  writeFileSync(join(lab.dir, 'state/images/base/initrd'), Buffer.alloc(90_000, 'other'));
  const bad = await lab.imager('image', 'verify', 'base');
  expect(bad).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /image base is damaged: initrd has sha256 .*; remove its folder \/.*\/state\/images\/base and add it again\n$/,
    ),
  });
  expect(bad.stdout).toMatch(
    /^base: read 2 added files, 790000 bytes; damaged\n[\s\S]* the same\n {2}initrd .* damaged\n$/,
  );
  writeFileSync(join(lab.dir, 'state/images/base/initrd'), 'short');
  const damage = expect.stringMatching(/^(?:imager: )?image base is damaged: initrd has 5 bytes, not 90000/);
  expect(await lab.imager('image', 'show', 'base')).toMatchObject({ code: 1, stderr: damage });
  expect(await lab.imager('image', 'list')).toMatchObject({ code: 0, stderr: damage });
  expect(await lab.imager('image', 'list', '--json')).toEqual({ code: 0, stdout: '[]\n', stderr: damage });
  await lab.stop('TERM');
}, 120_000);

test('a base image that is being added neither keeps the imager alive nor stays half', async () => {
  await lab.serve();
  const huge = join(lab.dir, 'huge.img');
  writeFileSync(huge, '');
  truncateSync(huge, 2 ** 40);
  const bases = (): string[] => readdirSync(join(lab.dir, 'state/bases'));
  const adding = lab.imager('base', 'add', 'huge', huge);
  await vi.waitFor(() => expect(bases()).toHaveLength(1), { timeout: 60_000 });
  expect(await lab.stop('TERM')).toBe(0);
  expect(lab.log()).toContain('"msg":"stopped"');
  expect(bases()).toEqual([]);
  expect((await adding).code).toBeGreaterThan(0);
}, 120_000);
