/** What the system says to the imager's own stores: none of it is the asker's fault. */
import { expect, test } from 'vitest';
import { SourceError } from '../../imager/disks/store-error.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';
import { type ControlParts, controlsOf } from '../../imager/service/controls.ts';

/** Of all that the controls need, what they flash with; the pointer's claim meets `error`. */
function controls(error: Error) {
  const parts = {
    config: { cluster: 'demo', network: { address: '10.0.0.1' } },
    nodes: new NodeIndex([{ name: 'node1', hostname: 'node1' }]),
    directory: { get: () => undefined, inventories: { of: () => ({}) } },
    admissions: { sealImage: () => undefined },
    table: {
      get: () => ({ name: 'base', kind: 'efi', arch: 'amd64', args: '', files: {} }),
      verify: async () => [],
    },
    disks: { names: () => ['d1'], addBase: () => Promise.reject(error) },
    agents: { flash: () => Promise.reject(error) },
    ...{ sink() {}, clock: systemClock },
  };
  return controlsOf(parts as unknown as ControlParts);
}

test.each(['ENOENT', 'EACCES', 'EISDIR', 'ENOSPC'])(
  '%s under a flash is passed on as it is: a failure inside',
  async (code) => {
    const error = Object.assign(new Error(`${code}: of the registry`), { code });
    await expect(controls(error).flash('node1', { image: 'base', disks: ['d1'] })).rejects.toBe(error);
  },
);

test('a file that the asker has named, and that cannot be read, is', async () => {
  const error = new SourceError('/no/such.img: there is no such file (ENOENT)');
  await expect(controls(error).addBase({ name: 'b', file: '/no/such.img' })).rejects.toMatchObject({
    status: 400,
    message: error.message,
  });
});
