/** The files that are to be run first are there: one that was renamed would run last, and nobody would notice. */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { alone } from '../support/alone.ts';
import { LONGEST } from '../support/longest-first.ts';

test('the files that take longest, and those that are to be alone, are named once, by the names they have', () => {
  expect(alone().filter((name) => !existsSync(projectFile(name)))).toEqual([]);
  expect(new Set(LONGEST).size).toBe(LONGEST.length);
});
