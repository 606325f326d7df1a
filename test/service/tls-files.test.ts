import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readNbdTls } from '../../imager/service/nbd-tls.ts';
import { startFault } from '../../imager/service/start-fault.ts';
import { readTlsFiles } from '../../imager/service/tls-files.ts';

let dir: string;
const at = (name: string) => join(dir, name);
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tls-files-'));
  const kind = [
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-days',
    '2',
    '-subj',
    '/CN=i',
  ];
  for (const [name, ...how] of [
    ['a', '-nodes'],
    ['b', '-nodes'],
    ['locked', '-passout', 'pass:secret'],
  ] as const)
    execFileSync(
      'openssl',
      ['req', ...kind, ...how, '-keyout', at(`${name}.key`), '-out', at(`${name}.cert`)],
      {
        stdio: 'ignore',
      },
    );
  const rsa = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=i'];
  execFileSync('openssl', [...rsa, '-keyout', at('rsa.key'), '-out', at('rsa.cert')], { stdio: 'ignore' });
  writeFileSync(at('text'), 'no PEM at all\n');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('a certificate and its key', async () => {
  expect(await readTlsFiles('https', { cert: at('a.cert'), key: at('a.key') })).toEqual({
    cert: readFileSync(at('a.cert')),
    key: readFileSync(at('a.key')),
  });
});

test.each([
  ['a.cert', 'none', /^https\.key: ENOENT: no such file or directory, open '.*none'$/],
  ['none', 'a.key', /^https\.cert: ENOENT: no such file or directory, open '.*none'$/],
  ['text', 'a.key', /^https\.cert: .*text is no PEM certificate \(/],
  ['a.cert', 'text', /^https\.key: .*text is no PEM key without a passphrase \(/],
  ['locked.cert', 'locked.key', /^https\.key: .*locked.key is no PEM key without a passphrase \(/],
  ['a.cert', 'b.key', /^https\.key: .*b.key is not the key of .*a.cert$/],
  ['rsa.cert', 'a.key', /^https\.key: .*a.key is not the key of .*rsa.cert$/],
])('%s with %s: the fault names the setting and the file', async (cert, key, words) => {
  const fault: Error = await readTlsFiles('https', { cert: at(cert), key: at(key) }).then(
    () => new Error('none'),
    (error) => error,
  );
  expect(fault.message).toMatch(words);
  const place = { address: '10.77.0.1', port: 443, setting: 'https.port' };
  expect(startFault(fault, 'https', place)).toBe(
    `cannot start https on TCP port 443 of 10.77.0.1: ${fault.message}`,
  );
});

test('a key that may not be read is told as that, and not as a port below 1024', async () => {
  const read = () =>
    Promise.reject(Object.assign(new Error("EACCES: permission denied, open '/k'"), { code: 'EACCES' }));
  const fault = await readTlsFiles('https', { cert: '/c', key: '/k' }, read).catch((error) => error);
  const place = { address: '10.77.0.1', port: 443, setting: 'https.port' };
  expect(startFault(fault, 'https', place)).toMatch(/10\.77\.0\.1: https\.cert: EACCES: permission denied/);
});

test('NBD over TLS: the same, under its own settings, and a CA that is one', async () => {
  const x509 = { cert: at('a.cert'), key: at('a.key'), ca: at('a.cert') };
  expect(await readNbdTls({ mode: 'required', x509 })).toEqual({
    mode: 'required',
    x509: {
      cert: readFileSync(at('a.cert')),
      key: readFileSync(at('a.key')),
      ca: readFileSync(at('a.cert')),
    },
  });
  const faultOf = (part: Partial<typeof x509>): Promise<string> =>
    readNbdTls({ mode: 'required', x509: { ...x509, ...part } }).then(
      () => 'none',
      (error: Error) => error.message,
    );
  expect(await faultOf({ ca: at('a.key') })).toBe(`nbd.tls.ca: ${at('a.key')} is no PEM certificate`);
  expect(await faultOf({ cert: at('a.key') })).toContain(
    `nbd.tls.cert: ${at('a.key')} is no PEM certificate`,
  );
  expect(await faultOf({ key: at('no.key') })).toContain('nbd.tls.key: ENOENT');
  expect(await faultOf({ ca: at('no.ca') })).toContain('nbd.tls.ca: ENOENT');
});
