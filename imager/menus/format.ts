/**
 * How values are put into each format: as they are where the format reads them as plain text, escaped where it has an
 * escape, refused with words where it has none. Pure.
 */

/** `text`: one value a line, no escapes (Raspberry Pi's files, and whatever else an operator serves). */
export type Format = 'ipxe' | 'pxelinux' | 'uboot' | 'shell' | 'json' | 'text';

/** Longest value put into a file. */
const MAX_VALUE = 16 * 1024;

/** The format of what is served as `path`. GRUB reads its configuration like a shell. */
export function formatOf(path: string): Format {
  const parts = path.split('/');
  const name = parts.at(-1) ?? '';
  if (name.endsWith('.ipxe')) return 'ipxe';
  if (name === 'extlinux.conf' || parts.at(-2) === 'pxelinux.cfg') return 'pxelinux';
  if (/^boot\.scr(?:\.uimg)?$/.test(name)) return 'uboot';
  if (/^grub\.cfg(?:-|$)|\.sh$/.test(name)) return 'shell';
  return name.endsWith('.json') ? 'json' : 'text';
}

/**
 * `value` as it stands in a file of that format. Throws Error where it has no form there: nothing, a section or list,
 * or a character the format would take for its own.
 */
export function escaped(value: unknown, format: Format): string {
  const text = textOf(value);
  if (format === 'json') return JSON.stringify(text).slice(1, -1);
  const { bad, hint } = REFUSED[format];
  const found = bad.exec(text);
  if (found !== null)
    throw new Error(
      `the value contains ${characterName(found[0])} (character ${found.index + 1}), which ${hint}`,
    );
  const word = isLine(format) ? text.split(' ').find(isOperator) : undefined;
  if (word !== undefined)
    throw new Error(`the value contains the word ${word}, which the firmware would take for itself`);
  return text;
}

/** `value` as one word of a shell or of GRUB, whatever printable characters it has. Throws Error for others. */
export function quoted(value: unknown): string {
  const text = textOf(value);
  const bad = /\p{Cc}/u.exec(text);
  if (bad !== null) throw new Error(`the value contains ${characterName(bad[0])}, which cannot be quoted`);
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** `value` as words of a shell or of GRUB: those that need it are quoted, spaces part them. */
export function quotedWords(value: unknown): string {
  return textOf(value)
    .split(' ')
    .map((word) => (REFUSED.shell.bad.test(word) ? quoted(word) : word))
    .join(' ');
}

/**
 * U-Boot's shell and its reader of `append` lines and iPXE's expand `$`, split at `;` and treat quotes and backslashes
 * their own way; none of them has an escape that all versions know.
 */
const FIRMWARE = { bad: /[^ -~]|[$;\\"'`]/, hint: 'the firmware would take for itself' };

const REFUSED: Record<Exclude<Format, 'json'>, { bad: RegExp; hint: string }> = {
  ipxe: FIRMWARE,
  pxelinux: FIRMWARE,
  uboot: FIRMWARE,
  shell: {
    bad: /[^A-Za-z0-9 _./:=,@%+-]/,
    hint: 'the shell would take for itself: put it through the filter quote, or words',
  },
  text: { bad: /\p{Cc}/u, hint: 'cannot stand in a line' },
};

function isLine(format: Format): boolean {
  return format === 'ipxe' || format === 'uboot' || format === 'pxelinux';
}

/** iPXE's `&&` and `||`, also in pieces that templates may put together, and where comments begin. */
function isOperator(word: string): boolean {
  return /^(?:#|[&|]+$)/.test(word);
}

function textOf(value: unknown): string {
  if (value === null || value === undefined)
    throw new Error('there is no value here: test for it with if, or give it a default');
  if (typeof value === 'object') throw new Error('this is a section or a list, not a value');
  const text = String(value);
  if (text.length > MAX_VALUE)
    throw new Error(`the value has ${text.length} characters, at most ${MAX_VALUE}`);
  return text;
}

function characterName(character: string): string {
  const names: Record<string, string> = { '\n': 'a newline', '\r': 'a carriage return', '\t': 'a tab' };
  const code = character.codePointAt(0) ?? 0;
  return (
    names[character] ?? (code > 32 && code < 127 ? character : `U+${code.toString(16).padStart(4, '0')}`)
  );
}
