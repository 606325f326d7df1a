/** Where `imager rig run` is to write: tried before anything runs, so that no result is lost in the end. */
import { accessSync, closeSync, constants, mkdirSync, openSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UsageError } from './failure.ts';

export interface Outputs {
  junit?: string;
  svg?: string;
  keep?: string;
}

/** Files of the timelines of scenarios with these ids: one alone has the name as it is, else `timeline-fallback.svg`. */
export function svgFiles(svg: string, ids: readonly string[]): string[] {
  if (ids.length === 1) return [svg];
  return ids.map((id) => (/\.svg$/i.test(svg) ? svg.replace(/(?=\.svg$)/i, `-${id}`) : `${svg}-${id}`));
}

/** Tries all of them; leaves no file that was not there, and makes the folders of `keep`. Throws UsageError, naming the option. */
export function tryOutputs({ junit, svg, keep }: Outputs, ids: readonly string[]): void {
  if (junit !== undefined) attempt('--junit', junit, () => tryFile(junit));
  for (const file of svg === undefined ? [] : svgFiles(svg, ids)) attempt('--svg', file, () => tryFile(file));
  if (keep === undefined) return;
  for (const folder of ids.map((id) => join(keep, id))) attempt('--keep', folder, () => tryFolder(folder));
}

function attempt(option: string, path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw new UsageError(`${option} ${path}: ${words(error as NodeJS.ErrnoException, path)}`);
  }
}

function tryFile(path: string): void {
  const was = statSync(path, { throwIfNoEntry: false }) !== undefined;
  closeSync(openSync(path, 'a'));
  if (!was) rmSync(path);
}

function tryFolder(path: string): void {
  mkdirSync(path, { recursive: true });
  accessSync(path, constants.W_OK | constants.X_OK);
}

function words({ code, message }: NodeJS.ErrnoException, path: string): string {
  switch (code) {
    case 'EISDIR':
      return 'it is a folder, not a file';
    case 'ENOENT':
      return `there is no folder ${dirname(path)}`;
    case 'EEXIST':
    case 'ENOTDIR':
      return 'a file is where a folder must be';
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'it may not be written';
    default:
      return message;
  }
}
