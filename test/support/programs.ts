/** Folders for the programs that tests compile, gone with the run: workers end without a word. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { projectFile } from '../../firmware-stubs/rig/project.ts';

const PROGRAMS = projectFile('build/programs');

export default function setup(project: TestProject): () => void {
  // Called for each project of the run.
  if (process.env.BOOTWRIGHT_PROGRAMS !== undefined) return () => undefined;
  mkdirSync(PROGRAMS, { recursive: true });
  const folder = mkdtempSync(`${PROGRAMS}/run-`);
  process.env.BOOTWRIGHT_PROGRAMS = folder;
  // A source has changed.
  project.onTestsRerun(() => {
    for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
  });
  return () => {
    delete process.env.BOOTWRIGHT_PROGRAMS;
    rmSync(folder, { recursive: true, force: true });
  };
}

/** Made by this process, and gone with it. */
const folders: string[] = [];
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A new folder for one program. */
export function programFolder(): string {
  const programs = process.env.BOOTWRIGHT_PROGRAMS ?? PROGRAMS;
  mkdirSync(programs, { recursive: true });
  const folder = mkdtempSync(`${programs}/program-`);
  folders.push(folder);
  return folder;
}

/**
 * The folder of a program that all of a run share: made by `make` in a folder of its own, unless one of that name is there. Outside of
 * a run it is made each time.
 */
export async function programOfRun(name: string, make: (folder: string) => Promise<void>): Promise<string> {
  const run = process.env.BOOTWRIGHT_PROGRAMS;
  const shared = run === undefined ? undefined : join(run, name.replaceAll('/', '_'));
  if (shared !== undefined && existsSync(shared)) return shared;
  const folder = programFolder();
  await make(folder);
  if (shared === undefined) return folder;
  try {
    renameSync(folder, shared);
  } catch (error) {
    // Unless another one was faster.
    if (!existsSync(shared)) throw error;
  }
  return shared;
}
