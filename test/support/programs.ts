/** Folders for the programs that tests compile, gone with the run: workers end without a word. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { projectFile } from '../../firmware-stubs/rig/project.ts';

const PROGRAMS = projectFile('build/programs');

export default function setup(): () => void {
  mkdirSync(PROGRAMS, { recursive: true });
  const folder = mkdtempSync(`${PROGRAMS}/run-`);
  process.env.BOOTWRIGHT_PROGRAMS = folder;
  return () => rmSync(folder, { recursive: true, force: true });
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
