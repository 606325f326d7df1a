/** `imager serve` that is stopped in the middle of something. */
import { readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ServiceLab } from '../service/lab.ts';

let lab: ServiceLab;
beforeAll(async () => {
  lab = await ServiceLab.open();
});
afterAll(() => lab.close());

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
