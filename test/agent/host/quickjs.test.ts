/** The static binary run as an ordinary process of this machine. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeFrame, FrameReader } from '../../../agent/protocol/frame.ts';
import { EXPECTED } from '../../contract/host.ts';
import { endsWithTest } from '../../support/ends-with-test.ts';
import { listening } from '../../support/listening.ts';
import { staticProgram } from '../../support/static-program.ts';
import { closedPort, startEcho } from './echo.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootwright-quickjs-'));
const programs = new Map<string, string>();

beforeAll(async () => {
  for (const name of ['hello', 'contract', 'frames', 'faults'])
    programs.set(name, await staticProgram({ entry: `test/agent/host/programs/${name}.ts` }));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(name: string, args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) =>
    execFile(programs.get(name)!, args, { timeout: 25_000 }, (error, stdout) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, output: stdout }),
    ),
  );
}

test('keeps the contract of a host', async () => {
  const echo = await startEcho();
  const work = mkdtempSync(join(folder, 'work-'));
  const { output } = await run('contract', [work, String(echo.port), String(await closedPort())]);
  echo.server.close();
  expect(JSON.parse(output.trim().split('\n').at(-1)!)).toEqual(EXPECTED);
});

test('is small, and starts at once', async () => {
  const times: number[] = [];
  let output = '';
  for (let n = 0; n < 9; n++) {
    const before = performance.now();
    output = (await run('hello', ['there'])).output;
    times.push(performance.now() - before);
  }
  const megabytes = statSync(programs.get('hello')!).size / 1e6;
  const resident = Number(/VmRSS:\s+(\d+) kB/.exec(output)?.[1]);
  const milliseconds = times.sort((a, b) => a - b)[4]!;
  console.log(
    `static agent: ${megabytes.toFixed(2)} MB, ${resident} kB resident, ${milliseconds.toFixed(1)} ms start to end`,
  );
  expect(output).toMatch(/^hello from quickjs there\n/);
  expect(megabytes).toBeLessThan(2.5);
  expect(resident).toBeLessThan(4096);
});

test('needs nothing of the system it runs on: no dynamic loader', async () => {
  const { stdout } = await new Promise<{ stdout: string }>((resolve) =>
    execFile('readelf', ['-ld', programs.get('hello')!], (_, out) => resolve({ stdout: out })),
  );
  expect(stdout).toContain('There is no dynamic section');
  expect(stdout).not.toContain('INTERP');
});

test.each(['throw', 'forget', 'later'])('a fault nobody handles (%s) ends it with a stack', async (how) => {
  const { code, output } = await run('faults', [how]);
  expect(code).toBe(1);
  expect(output).toMatch(/agent: fatal: Error: on purpose\n\s+at explode/);
});

test('a handled rejection is none; exit codes pass', async () => {
  expect(await run('faults', ['caught'])).toEqual({ code: 0, output: 'caught\n' });
  expect(await run('faults', ['exit'])).toEqual({ code: 3, output: '' });
});

test('what cannot be read late, as it finds no room on the stack, is an error for who asked, and read another time', async () => {
  expect(await run('faults', ['read-late'])).toEqual({ code: 0, output: 'read\n' });
});

test('a fault says so in the bundle: an import of Node is refused', async () => {
  const entry = 'agent/node/main.ts';
  await expect(staticProgram({ entry })).rejects.toThrow(/node:/);
});

test('what is used of a library and not listed for the static program is an error of the build', async () => {
  const entry = 'test/agent/host/programs/unlisted.ts';
  await expect(staticProgram({ entry })).rejects.toThrow(/"date"/);
});

test('reads no source text, wherever it comes from', async () => {
  const { code, output } = await run('faults', ['source']);
  expect(code).toBe(1);
  expect(output).toContain('agent: fatal: TypeError: eval is not supported');
});

test('messages of the agent protocol mean the same on both runtimes', async () => {
  const server = createServer();
  const port = await listening(server);
  const agent = endsWithTest(spawn(programs.get('frames')!, [String(port)]));
  const [socket] = (await once(server, 'connection')) as [Socket];
  const reader = new FrameReader();
  const waiting: ((message: unknown) => void)[] = [];
  socket.on('data', (chunk) => {
    for (const message of reader.push(chunk)) waiting.shift()?.(message);
  });
  const ask = (message: unknown): Promise<unknown> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      socket.write(encodeFrame(message));
    });
  const value = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: 'binary' }),
      fc.integer(),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true }),
      fc.boolean(),
      fc.constant(null),
      fc.uint8Array({ maxLength: 300 }),
      fc.array(tie('value')),
      fc.dictionary(
        fc.string({ minLength: 1 }).filter((key) => key !== '__proto__'),
        tie('value'),
      ),
    ),
  })).value;
  await fc.assert(
    fc.asyncProperty(value, async (message) => {
      // What Node itself makes of its own encoding is the measure: CBOR has no -0 in integers, for instance.
      const [own] = new FrameReader().push(encodeFrame({ echo: message }));
      expect(plain(await ask(message))).toEqual(plain(own));
    }),
    { numRuns: 150 },
  );
  const script = 'x'.repeat(3_000_000);
  expect(await ask(script)).toEqual({ echo: script });
  socket.end();
  const [code] = await once(agent, 'exit');
  server.close();
  expect(code).toBe(0);
});

/** Node's decoder gives Buffers where QuickJS has Uint8Arrays: compared by their bytes. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}
