/** TLS, digests and signatures on both runtimes, against Node's and OpenSSL's server. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { NodeHost } from '../../../agent/node/host.ts';
import { buildAgent } from '../../../agent/quickjs/build.ts';
import { EXPECTED_SECURE, runSecureContract } from '../../contract/secure.ts';
import { bundle } from '../../support/inside.ts';
import { signedText, startSecurePeers } from './secure-peers.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootwright-secure-'));
const signed = signedText();

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('on Node', async () => {
  expect(await runSecureContract(new NodeHost(), await startSecurePeers(), signed)).toEqual(EXPECTED_SECURE);
});

test('on Node where the environment says that any certificate will do', async () => {
  const program = await bundle('test/agent/host/programs/node-secure.ts');
  const words = JSON.stringify({ peers: await startSecurePeers(), signed });
  const { stdout } = await promisify(execFile)(process.execPath, [program, words], {
    env: { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: '0' },
    timeout: 50_000,
  });
  expect(JSON.parse(stdout)).toEqual(EXPECTED_SECURE);
}, 60_000);

test('in the static binary', async () => {
  const out = join(folder, 'secure');
  const arch = process.arch === 'arm64' ? 'arm64' : 'amd64';
  await buildAgent({ arch, out, entry: 'test/agent/host/programs/secure.ts' });
  const { stdout } = await promisify(execFile)(
    out,
    [JSON.stringify({ peers: await startSecurePeers(), signed })],
    { timeout: 60_000 },
  );
  expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toEqual(EXPECTED_SECURE);
}, 180_000);
