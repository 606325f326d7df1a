import { spawn } from 'node:child_process';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RecordedEvent } from '../../imager/journal/event.ts';
import { EventFiles } from '../../imager/journal/event-files.ts';
import { endsWithTest } from '../support/ends-with-test.ts';
import { bundle } from '../support/inside.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'journal-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;
function files(options: { dir?: string; fileBytes?: number; files?: number } = {}) {
  const failures: Error[] = [];
  const { dir = join(root, `j${folders++}`) } = options;
  const settings = { fileBytes: 1_000_000, files: 3, ...options, dir, name: 'nodes' };
  const made = new EventFiles({ ...settings, failed: (error) => failures.push(error) });
  return { dir, files: made, failures };
}
const event = (at: number, step = 'discover'): RecordedEvent => ({ id: at, at, component: 'dhcp', step });
const ats = (events: readonly RecordedEvent[]) => events.map(({ at }) => at);

test('each reads its own, oldest first, and what comes later is not in it', async () => {
  const { files: journal } = files();
  for (let at = 1; at <= 6; at++) journal.append(at % 2 === 0 ? 'even' : 'odd', event(at));
  const read = journal.read('even');
  journal.append('even', event(8));
  expect(await read).toEqual([event(2), event(4), event(6)]);
  expect(ats(await journal.read('even'))).toEqual([2, 4, 6, 8]);
  expect(await journal.read('eve')).toEqual([]);
  await journal.close();
});

test('a restart goes on where the last one ended', async () => {
  const first = files();
  first.files.append('n', event(1));
  await first.files.close();
  const second = files({ dir: first.dir });
  second.files.append('n', event(2));
  expect(ats(await second.files.read('n'))).toEqual([1, 2]);
  await second.files.close();
  expect(readdirSync(first.dir)).toEqual(['nodes.000001.jsonl']);
});

test('a torn last line and damaged ones cost themselves alone', async () => {
  const { dir, files: journal } = files();
  journal.append('n', event(1));
  await journal.close();
  const path = join(dir, 'nodes.000001.jsonl');
  appendFileSync(
    path,
    '{"who":"n","id":2,"at":2,\n{"who":"n","id":3}\n\u0000\u0000\n{"who":"n","id":4,"at":4,"comp',
  );
  const again = files({ dir });
  again.files.append('n', event(5));
  expect(ats(await again.files.read('n'))).toEqual([1, 5]);
  await again.files.close();
});

test('nobody gets into the history of another by what stands inside an event', async () => {
  const { files: journal } = files();
  journal.append('x', {
    ...event(1),
    detail: { file: '\n{"who":"n","id":9,"at":9,"component":"dhcp","step":"ack"}\n' },
  });
  journal.append('x","at":1,"y":"n', event(2));
  expect(await journal.read('n')).toEqual([]);
  expect(await journal.read('x","at":1,"y":"n')).toHaveLength(1);
  await journal.close();
});

test('the oldest file goes: the disk taken is bounded', async () => {
  const { dir, files: journal } = files({ fileBytes: 2000, files: 3 });
  for (let at = 1; at <= 400; at++) {
    journal.append('n', event(at));
    journal.flush();
  }
  const kept = ats(await journal.read('n'));
  expect(kept.at(-1)).toBe(400);
  expect(kept).toEqual(Array.from(kept, (_, i) => kept[0]! + i));
  const sizes = readdirSync(dir).map((name) => statSync(join(dir, name)).size);
  expect(sizes).toHaveLength(3);
  expect(sizes.reduce((a, b) => a + b)).toBeLessThan(3 * 2100);
  await journal.close();
});

test('files of others in the folder are left alone', async () => {
  const dir = join(root, 'others');
  const { files: journal } = files({ dir, fileBytes: 100, files: 1 });
  writeFileSync(join(dir, 'nodes.old.jsonl'), 'mine');
  writeFileSync(join(dir, 'nodes2.000001.jsonl'), 'mine');
  for (let at = 1; at <= 20; at++) {
    journal.append('n', event(at));
    journal.flush();
  }
  await journal.close();
  expect(readFileSync(join(dir, 'nodes.old.jsonl'), 'utf8')).toBe('mine');
  expect(readdirSync(dir)).toHaveLength(3);
});

test('too many readers at once are told', async () => {
  const { files: journal } = files();
  const reads = Array.from({ length: 20 }, () =>
    journal.read('n').then(
      () => 'read',
      (error: Error) => error.message,
    ),
  );
  const said = await Promise.all(reads);
  expect(said.filter((each) => each === 'read')).toHaveLength(16);
  expect(said.at(-1)).toContain('ask again');
  expect(await journal.read('n')).toEqual([]);
  await journal.close();
});

test('what was told of before SIGKILL is there', async () => {
  const dir = join(root, 'killed');
  const program = await bundle('test/journal/writer.ts');
  const child = endsWithTest(
    spawn(process.execPath, [program, dir], { stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  let last = 0;
  await new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      last = Number(text.trim().split('\n').at(-1));
      if (last >= 300) child.kill('SIGKILL');
    });
    child.once('close', () => resolve());
  });
  const { files: journal } = files({ dir });
  const kept = ats(await journal.read('n'));
  expect(kept.slice(0, last)).toEqual(Array.from({ length: last }, (_, i) => i + 1));
  await journal.close();
});
