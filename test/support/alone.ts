/**
 * Which test files have a process of their own, and which share one with others, so that what they import is loaded once: that
 * takes a third of a second for each file. Alone are the long ones, and those that change what others would see.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { LONGEST } from './longest-first.ts';

/** Modules, clocks, the environment or the memory of the process itself. */
const CHANGES =
  /\bvi\.(mock|doMock|stub|useFakeTimers|spyOn)|\bprocess\.(env\.\w+ =|chdir|umask)|memoryUsage|globalThis\.\w+ =/;

/** It begins with a loop that has not learnt yet whether staying awake pays (imager/native/awake.h). */
const UNSPOILT = ['test/nbd/awake.test.ts'];

/** The files of tests that are to be alone, as paths from the project's root. */
export function alone(): string[] {
  const files = readdirSync(projectFile('test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test', name));
  const changing = files.filter((file) => CHANGES.test(readFileSync(projectFile(file), 'utf8')));
  return [...new Set([...LONGEST, ...changing, ...UNSPOILT])];
}
