/** Calls of an imager that is at work for long, and of one that hangs. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { collect, open } from '../../imager/cli/control.ts';
import { NotReachableError } from '../../imager/cli/failure.ts';
import { ON_LOOPBACK, Served } from '../support/served.ts';

const PATIENCE_MS = 500;

let dir: string;
let socket: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'control-'));
  socket = join(dir, 'state/control.sock');
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
});

/** Stands for an imager whose work takes as long as the test wants. */
async function standIn(answer: RequestListener): Promise<void> {
  socket = join(dir, 'stand-in.sock');
  const server = createServer(answer).listen(socket);
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
}

const call = (method: string, path: string) => open(socket, method, path, undefined, PATIENCE_MS);

test('one that hangs is told of, and that nobody knows what became of a change', async () => {
  writeFileSync(join(dir, 'imager.yaml'), ON_LOOPBACK);
  const imager = await Served.start(dir);
  onTestFinished(() => imager.stop('SIGKILL'));
  expect((await call('GET', '/api/nodes')).statusCode).toBe(200);
  imager.freeze();
  const failed = await call('GET', '/api/nodes').catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(NotReachableError);
  expect(String(failed)).toMatch(
    /the imager behind .*control\.sock answers nothing for 2 s, not even how it is: it hangs, or was stopped$/,
  );
  await expect(call('POST', '/control/images')).rejects.toThrow(
    /whether it does what was asked is not known$/,
  );
});

test('one at work is waited for, however long that takes', async () => {
  let asked = 0;
  let done: () => void = () => {};
  await standIn(({ url }, response) => {
    if (url !== '/health') done = () => response.end('[]');
    else {
      response.writeHead(503).end();
      if (++asked === 3) done();
    }
  });
  expect(await collect(await call('POST', '/work'))).toBe('[]');
  expect(asked).toBe(3);
});

test('a stream is waited for as well, and ends where nothing is answered any more', async () => {
  let asked = 0;
  await standIn(({ url }, response) => {
    if (url !== '/health') response.write('data: 1\n\n');
    else if (++asked < 3) response.end();
  });
  await expect(collect(await call('GET', '/stream'))).rejects.toThrow(/it hangs, or was stopped$/);
  expect(asked).toBe(3);
});
