/** TLS, digests and signatures on both runtimes, against Node's and OpenSSL's server. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { NodeHost } from '../../../agent/node/host.ts';
import { EXPECTED_SECURE, runSecureContract } from '../../contract/secure.ts';
import { bundle } from '../../support/inside.ts';
import { staticProgram } from '../../support/static-program.ts';
import { signedText, startSecurePeers } from './secure-peers.ts';

const signed = signedText();

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
  const program = await staticProgram({ entry: 'test/agent/host/programs/secure.ts' });
  const words = JSON.stringify({ peers: await startSecurePeers(), signed });
  const { stdout } = await promisify(execFile)(program, [words], { timeout: 60_000 });
  expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toEqual(EXPECTED_SECURE);
}, 180_000);
