/** Where `imager rig run` is to write. */
import { accessSync, closeSync, constants, mkdirSync, openSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { tried } from './output.ts';

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
  if (junit !== undefined) tried(`--junit ${junit}`, junit, () => tryFile(junit));
  for (const file of svg === undefined ? [] : svgFiles(svg, ids))
    tried(`--svg ${file}`, file, () => tryFile(file));
  if (keep === undefined) return;
  for (const folder of ids.map((id) => join(keep, id)))
    tried(`--keep ${folder}`, folder, () => tryFolder(folder));
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
