/** Plain text for people: tables and figures. Pure. */
import { plain } from '../../agent/protocol/plain.ts';

/** Columns as wide as their widest cell, two spaces between, a heading in capitals. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings.map((heading) => heading.toUpperCase()), ...rows];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => printable(row[column]).length)));
  return all
    .map((row) =>
      widths
        .map((width, column) => printable(row[column]).padEnd(width))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** One `name  value` a line. */
export function fields(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`.trimEnd()).join('\n');
}

/** `1.5 MiB` */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** `1 node`, `2 nodes`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** Local-independent time: `2026-01-31 12:00:00Z`; a dash where there is none. */
export function time(milliseconds: number | null | undefined): string {
  if (milliseconds === null || milliseconds === undefined) return '-';
  return `${new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** One line, and never empty. */
export function printable(text: string | undefined): string {
  return plain(text ?? '').replaceAll('\n', '?') || '-';
}
