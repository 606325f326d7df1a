/** Which image a system that is up was booted from, with a host whose files are the test's. */
import { beforeEach, expect, test } from 'vitest';
import { bootedImageOf } from '../../agent/linux/booted-image.ts';
import { HostError } from '../../agent/linux/host.ts';
import { FilesHost } from '../fakes/files-host.ts';

const KEPT = '/state/booted.json';

let host: FilesHost;
beforeEach(() => {
  host = new FilesHost({});
});

function bootedOf(image: string, bootId = 'b1'): string {
  return bootedImageOf(host, { state: '/state', bootId, pointed: image });
}

test('what the pointer named when it was first looked at in this boot, by what is kept, unless that is damaged', () => {
  expect([bootedOf('alpha'), bootedOf('beta'), bootedOf('beta', 'b2')]).toEqual(['alpha', 'alpha', 'beta']);
  for (const damaged of ['', 'null', '{"bootId":"b2"}']) {
    host.files[KEPT] = damaged;
    expect(bootedOf('gamma', 'b2')).toBe('gamma');
  }
});

test('a full disk keeps no agent from its work', () => {
  host.replaceFile = (path) => {
    throw new HostError('ENOSPC', `write ${path}: no space left`);
  };
  expect(bootedOf('alpha')).toBe('alpha');
  expect(host.console).toEqual([`bootwright: ${KEPT}: write ${KEPT}: no space left`]);
});
