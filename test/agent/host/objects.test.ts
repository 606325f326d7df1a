/** Objects of the static agent: what is compiled, and when not. */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { compileAll } from '../../../agent/quickjs/objects.ts';

const folder = mkdtempSync(join(tmpdir(), 'objects-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a file is compiled where it, a header beside it, its flags or its inputs have changed, and that is said', async () => {
  const sources = join(folder, 'sources');
  mkdirSync(sources);
  const file = (name: string, text: string): string => {
    writeFileSync(join(sources, name), text);
    return join(sources, name);
  };
  const [one, two] = [file('one.c', 'int one;\n'), file('two.c', 'int two;\n')];
  const target = { arch: 'any', compiler: 'gcc', folder: join(folder, 'objects') };
  const compiled = async (flags: string[] = [], inputs: string[] = []): Promise<number[]> => {
    const told: number[] = [];
    const all = [one, two].map((path, index) => ({ file: path, flags, inputs: index === 0 ? inputs : [] }));
    for (const object of await compileAll(target, all, (count) => told.push(count)))
      expect(statSync(object).size).toBeGreaterThan(0);
    return told;
  };
  expect(await compiled()).toEqual([2]);
  expect(await compiled()).toEqual([]);
  expect(await compiled([], ['configuration'])).toEqual([1]);
  expect(await compiled(['-O2'])).toEqual([2]);
  file('two.c', 'int two = 2;\n');
  expect(await compiled()).toEqual([1]);
  file('both.h', '');
  expect(await compiled()).toEqual([2]);
  file('two.c', 'int two = ;\n');
  await expect(compiled()).rejects.toThrow(/gcc failed: .*two\.c/);
});

test('who wants an object that is being compiled waits for it, and leaves nothing else behind', async () => {
  const file = join(folder, 'wanted.c');
  const calls = join(folder, 'calls');
  const compiler = join(folder, 'noting-gcc');
  writeFileSync(file, 'int wanted;\n');
  writeFileSync(compiler, `#!/bin/sh\necho call >> ${calls}\nexec gcc "$@"\n`);
  chmodSync(compiler, 0o755);
  const target = { arch: 'any', compiler, folder: join(folder, 'wanted') };
  const want = () => compileAll(target, [{ file, flags: [], inputs: [] }], () => undefined);
  const objects = await Promise.all([want(), want(), want()]);
  expect(new Set(objects.flat()).size).toBe(1);
  expect(readFileSync(calls, 'utf8')).toBe('call\n');
  expect(readdirSync(target.folder)).toEqual([basename(objects[0]![0]!)]);
});
