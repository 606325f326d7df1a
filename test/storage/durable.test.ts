import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { replaceDurably } from '../../imager/storage/durable.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'durable-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

test('a file is replaced whole; where that fails nothing unfinished stays', () => {
  replaceDurably(dir, 'file', 'one');
  replaceDurably(dir, 'file', 'two');
  expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('two');
  mkdirSync(join(dir, 'folder/within'), { recursive: true });
  expect(() => replaceDurably(dir, 'folder', 'three')).toThrow(/EISDIR/);
  expect(readdirSync(dir).sort()).toEqual(['file', 'folder']);
});
