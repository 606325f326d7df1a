/** The agent's memory over a day of supervision, on its own engine and allocator (host/programs/day.ts). */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { staticProgram } from '../support/static-program.ts';

const HOURS = Number(process.env.BOOTWRIGHT_SUPERVISED_HOURS ?? 24);
const folder = mkdtempSync(join(tmpdir(), 'bootwright-memory-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Sample {
  hour: number;
  /** kB, of /proc/self/status. */
  resident: number;
  bytes: number;
  objects: number;
  hello: number;
  heartbeat: number;
  step: number;
  done: number;
}

test(`is flat over ${HOURS} hours of heartbeats, flashes and an imager that comes and goes`, {
  timeout: 600_000,
}, async () => {
  const program = await staticProgram({ entry: 'test/agent/host/programs/day.ts' });
  const output = await new Promise<string>((resolve, reject) =>
    execFile(program, [String(HOURS), folder], (error, stdout) =>
      error === null ? resolve(stdout) : reject(new Error(`${error.message}\n${stdout}`)),
    ),
  );
  const samples = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Sample);
  const [first, last] = [samples[0]!, samples.at(-1)!];
  console.log(
    `${HOURS} h: ${last.heartbeat} heartbeats, ${last.hello} connections, ${last.done} flashes; resident ${first.resident} kB ` +
      `after the first hour, ${last.resident} kB after the last; engine ${first.bytes} and ${last.bytes} bytes`,
  );
  expect(samples).toHaveLength(HOURS);
  expect(last.heartbeat).toBeGreaterThan(HOURS * 300);
  expect(last.hello).toBeGreaterThan(HOURS * 4);
  expect(last.done).toBeGreaterThan(HOURS * 8);
  expect(last.step).toBeGreaterThanOrEqual(HOURS * 60 - 1);
  for (const { bytes, objects, resident } of samples.slice(1)) {
    expect(bytes).toBeLessThan(first.bytes + 32 * 1024);
    expect(objects).toBeLessThan(first.objects + 100);
    expect(resident).toBeLessThan(first.resident + 256);
    expect(resident).toBeLessThan(8192);
  }
});
