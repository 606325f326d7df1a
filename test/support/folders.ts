/** What is in a folder, and in those inside it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Paths of its plain files. */
export function filesIn(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** All of their content, but for files whose path is `but`, as Latin-1. */
export function contentsOf(folder: string, but = /^$/): string {
  const paths = filesIn(folder).filter((path) => !but.test(path));
  return paths.map((path) => readFileSync(path, 'latin1')).join('\n');
}
