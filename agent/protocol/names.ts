/** Names of nodes, boot images, disks and scripts: they become path components, export names and environment values. */

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** True where `name` is 1 to 63 of a-z 0-9 . _ - and starts with a letter or digit: safe as a path component. */
export function isName(name: string): boolean {
  return NAME.test(name) && !name.includes('..');
}

/** True where a script can be called `name`. No name ends in ".new": a file is written under such a one first. */
export function isScriptName(name: string): boolean {
  return isName(name) && !name.endsWith('.new');
}
