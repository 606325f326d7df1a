/** What those who wait for the imager hear when it is stopped. */
import { readdirSync, truncateSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { ServiceLab } from './lab.ts';

vi.setConfig({ testTimeout: 60_000 });

test('an addition is interrupted, and told so', async () => {
  const lab = await ServiceLab.open();
  try {
    await lab.serve();
    const initrd = join(lab.dir, 'big');
    writeFileSync(initrd, '');
    // So much that nobody has copied it before the signal.
    truncateSync(initrd, 2 ** 37);
    const images = join(lab.dir, 'state/images');
    const begun = new Promise<void>((resolve) => {
      const watcher = watch(images, () => {
        watcher.close();
        resolve();
      });
    });
    const kernel = join(lab.dir, 'kernel');
    const added = lab.imager(
      'image',
      'add',
      'big',
      '--arch',
      'amd64',
      '--kernel',
      kernel,
      '--initrd',
      initrd,
    );
    await begun;
    expect(await lab.stop('TERM')).toBe(0);
    const { code, stderr } = await added;
    expect([code, stderr]).toEqual([1, 'imager: the imager is being stopped: nothing was added\n']);
    expect(readdirSync(images)).toEqual([]);
  } finally {
    await lab.close();
  }
});
