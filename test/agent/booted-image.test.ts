/** Which image a system that is up was booted from, with a host whose files are the test's. */
import { beforeEach, expect, test } from 'vitest';
import { bootedImageOf } from '../../agent/linux/booted-image.ts';
import { HostError } from '../../agent/linux/host.ts';
import { QuietHost } from '../fakes/quiet-host.ts';

const KEPT = '/state/booted.json';

let files: Record<string, string>;
let host: QuietHost;
beforeEach(() => {
  files = { '/proc/cmdline': 'quiet' };
  host = new QuietHost();
  host.exists = (path) => path in files;
  host.readFile = (path) => new TextEncoder().encode(files[path]);
  host.replaceFile = (path, bytes) => {
    files[path] = new TextDecoder().decode(bytes);
  };
});

function bootedOf(image: string, bootId = 'b1'): string {
  return bootedImageOf(host, { state: '/state', bootId, pointed: image });
}

test('what the pointer named when it was first looked at in this boot, by what is kept, unless that is damaged', () => {
  expect([bootedOf('alpha'), bootedOf('beta'), bootedOf('beta', 'b2')]).toEqual(['alpha', 'alpha', 'beta']);
  for (const damaged of ['', 'null', '{"bootId":"b2"}']) {
    files[KEPT] = damaged;
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
