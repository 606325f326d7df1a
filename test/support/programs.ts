/** A folder for the programs that tests compile (inside.ts), gone with the run: workers end without a word. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { projectFile } from '../../firmware-stubs/rig/project.ts';

export default function setup(): () => void {
  mkdirSync(projectFile('build/programs'), { recursive: true });
  const folder = mkdtempSync(projectFile('build/programs/run-'));
  process.env.BOOTWRIGHT_PROGRAMS = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
