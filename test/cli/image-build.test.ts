/** `imager image build` before it builds: what is said of the key of enrolment. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { imagerProgram, runVerb } from '../support/imager-verbs.ts';

let dir: string;
let server: Server;
beforeAll(async () => {
  await imagerProgram();
  dir = mkdtempSync(join(tmpdir(), 'image-build-'));
  const config = 'state: .\ncluster: c\nnetwork: { address: 10.0.0.1, prefix: 24 }\n';
  writeFileSync(join(dir, 'imager.yaml'), config);
  writeFileSync(join(dir, 'keyed.yaml'), `${config}agents: { enrolmentKey: enrolment.key }\n`);
  server = createServer((_, response) => response.end('[]'));
  await new Promise<void>((done) => server.listen(join(dir, 'control.sock'), done));
});
afterAll(() => {
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

test('without the key that the configuration names: nodes that are not defined yet are refused, and how to mend it', async () => {
  // The cache is a file, so that nothing is built.
  const build = async (config: string, ...more: string[]) => {
    const words = ['image', 'build', 'x', '--arch', 'amd64', '--cache', config, '--config', config, ...more];
    const { stderr } = await runVerb(words, { cwd: dir });
    expect(stderr).toContain('EEXIST');
    return stderr.split('\n')[0];
  };
  const key = join(dir, 'enrolment.key');
  expect(await build('keyed.yaml')).toBe(
    `warning: without --enrolment-key ${key} (agents.enrolmentKey) nodes that boot this image and are not defined yet are refused`,
  );
  for (const given of [build('keyed.yaml', '--enrolment-key', key), build('imager.yaml')])
    expect(await given).not.toContain('warning');
});
