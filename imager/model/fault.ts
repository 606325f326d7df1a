/** Faults of a configuration file: where, what was found, what is expected. */

/** Keys and indexes from the top of the file. */
export type ConfigPath = readonly (string | number)[];

/** A fault before its place in the file is looked up. */
export interface Finding {
  path: ConfigPath;
  /** What is there, in words; where absent, load.ts describes the value at `path`. */
  found?: string;
  expected: string;
  /** Point at the key rather than at its value. */
  atKey?: boolean;
}

export interface Fault {
  /** From 1; 0 where the file could not be read at all. */
  line: number;
  column: number;
  path: string;
  found: string;
  expected: string;
}

/** All faults of one configuration file; `message` is one line for each. */
export class ConfigError extends Error {
  readonly file: string;
  readonly faults: readonly Fault[];
  constructor(file: string, faults: readonly Fault[]) {
    super(faults.map((fault) => describeFault(file, fault)).join('\n'));
    this.name = 'ConfigError';
    this.file = file;
    this.faults = faults;
  }
}

/** `imager.yaml:12:10: nodes[0].mac: found "52:54", expected a MAC address such as 52:54:00:12:34:56` */
export function describeFault(file: string, fault: Fault): string {
  const where = fault.line === 0 ? file : `${file}:${fault.line}:${fault.column}`;
  const path = fault.path === '' ? '' : `${fault.path}: `;
  return `${where}: ${path}found ${fault.found}, expected ${fault.expected}`;
}

/** `nodes[0].mac` */
export function pathText(path: ConfigPath): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`),
    '',
  );
}

/** A short rendering of any value for an error message. */
export function describeValue(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return `a section with ${Object.keys(value).join(', ') || 'no keys'}`;
  if (typeof value === 'string')
    return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}...` : value);
  return String(value);
}
