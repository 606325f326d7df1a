/** Why a start failed, in words: what is to be done has to be possible. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startFault } from '../../imager/service/start-fault.ts';
import { bundle } from '../support/inside.ts';
import { SmallDisk } from '../support/small-disk.ts';

test.each([
  [
    'EADDRINUSE',
    'the port is in use: find by whom with "ss -lnup sport = :67", and stop that: firmware asks no other',
  ],
  ['EACCES', 'no permission: ports below 1024 need root or CAP_NET_BIND_SERVICE'],
])('of DHCP no other port is advised: %s', (code, why) => {
  const fault = Object.assign(new Error(code), { code, syscall: 'bind' });
  expect(startFault(fault, 'dhcp', { address: '10.0.0.1', port: 67, setting: 'ports.dhcp' })).toBe(
    `cannot start dhcp on UDP port 67 of 10.0.0.1: ${why}`,
  );
});

test('a full disk: the folder without room is named', async () => {
  const program = await bundle('imager/cli/main.ts');
  const dir = mkdtempSync(join(tmpdir(), 'full-start-'));
  const state = join(dir, 'state');
  mkdirSync(state);
  const disk = await SmallDisk.over(state, 64 * 1024);
  writeFileSync(
    join(dir, 'imager.yaml'),
    'state: ./state\ncluster: c\nnetwork: { address: 127.0.0.1, prefix: 24 }\n',
  );
  expect(() => writeFileSync(join(disk.here, 'filler'), Buffer.alloc(128 * 1024))).toThrow('ENOSPC');
  const [command, ...words] = [
    ...disk.enter,
    process.execPath,
    program,
    'serve',
    '--config',
    join(dir, 'imager.yaml'),
  ];
  const stderr = await new Promise<string>((done) => {
    execFile(command!, words, { timeout: 30_000 }, (_error, _stdout, said) => done(said));
  });
  expect(stderr).toMatch(new RegExp(`^imager: no room in the state folder ${state}: ENOSPC: `, 'm'));
  await disk.close();
  rmSync(dir, { recursive: true });
}, 60_000);
