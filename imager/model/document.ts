/** YAML files that a schema checks: their content, or every fault at once with its line and column. */
import { readFileSync } from 'node:fs';
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
} from 'yaml';
import type * as z from 'zod';
import { ConfigError, type ConfigPath, describeValue, type Fault, type Finding, pathText } from './fault.ts';

/** One anchor may serve every node of a big file. Aliases of aliases count as often as they multiply. */
const MAX_ALIASES = 100_000;

/** Why a file cannot be read, by the system's code. */
const UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EISDIR: 'a folder',
  EACCES: 'a file that may not be read',
};

export interface CheckedYaml<T> {
  /** What the schema made of the content. */
  data: T;
  /** The content as it is written. */
  content: unknown;
  /** Throws ConfigError with these findings, each at its place. */
  refuse(findings: readonly Finding[]): never;
  /** Line of what is at `path`, from 1; of the section that lacks it where it is missing. */
  lineOf(path: ConfigPath): number;
}

/** Text of the file at `path`; `file` names it in the error, `expected` says what it should be. Throws ConfigError. */
export function readYaml(path: string, file: string, expected: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const found = UNREADABLE[(error as NodeJS.ErrnoException).code ?? ''] ?? String(error);
    throw new ConfigError(file, [{ line: 0, column: 0, path: '', found, expected }]);
  }
}

/** Checks `text` by `schema`; `file` names it in errors. Throws ConfigError with every fault found. */
export function checkYaml<T>(text: string, file: string, schema: z.ZodType<T>): CheckedYaml<T> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
  // Warnings are of tags that nobody resolves: what they stand for would be missing.
  const unread = [...document.errors, ...document.warnings];
  if (unread.length > 0)
    throw new ConfigError(
      file,
      unread.map((error) => {
        const { line, col } = lines.linePos(error.pos[0]);
        return { line, column: col, path: '', found: error.message, expected: 'YAML' };
      }),
    );
  let content: unknown;
  try {
    content = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw new ConfigError(file, [
      { line: 1, column: 1, path: '', found: String(error), expected: 'YAML without excessive aliases' },
    ]);
  }
  const refuse = (findings: readonly Finding[]): never => {
    throw new ConfigError(
      file,
      findings.map((finding) => locate(finding, document, lines)).sort((a, b) => a.line - b.line),
    );
  };
  const shape = schema.safeParse(content ?? {});
  if (!shape.success) return refuse(shape.error.issues.flatMap(findingsOf));
  const lineOf = (path: ConfigPath) => lines.linePos(offsetOf({ path }, document)).line;
  return { data: shape.data, content, refuse, lineOf };
}

function findingsOf(issue: z.core.$ZodIssue): Finding[] {
  const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      path: [...path, key],
      found: `unknown key ${JSON.stringify(key)}`,
      expected: issue.message,
      atKey: true,
    }));
  if (issue.code === 'invalid_key')
    return [
      { path, found: describeValue(path.at(-1)), expected: issue.issues[0]?.message ?? '', atKey: true },
    ];
  return [{ path, expected: issue.message }];
}

/** Looks up where a finding is. A missing value is reported at the section that lacks it. */
function locate(finding: Finding, document: Document, lines: LineCounter): Fault {
  const { line, col } = lines.linePos(offsetOf(finding, document));
  const value = nodeAt(finding.path, document);
  const found = finding.found ?? describeNode(value, document);
  return { line, column: col, path: pathText(finding.path), found, expected: finding.expected };
}

function offsetOf({ path, atKey = false }: Pick<Finding, 'path' | 'atKey'>, document: Document): number {
  for (let length = path.length; length >= 0; length--) {
    const offset = rangeOf(path.slice(0, length), document, atKey);
    if (offset !== undefined) return offset;
  }
  return 0;
}

/** Numbers as they are written. */
function describeNode(node: unknown, document: Document): string {
  if (isScalar(node) && typeof node.value === 'number' && node.source !== undefined) return node.source;
  return describeValue(isNode(node) ? node.toJS(document, { maxAliasCount: MAX_ALIASES }) : node);
}

function rangeOf(path: ConfigPath, document: Document, atKey: boolean): number | undefined {
  if (atKey && path.length > 0) {
    const key = pairOf(nodeAt(path.slice(0, -1), document), path.at(-1), document)?.key;
    return isScalar(key) ? key.range?.[0] : undefined;
  }
  const node = nodeAt(path, document);
  return isNode(node) ? node.range?.[0] : undefined;
}

/** What is at `path`: behind an alias, where its anchor is. */
function nodeAt(path: ConfigPath, document: Document): unknown {
  return path.reduce<unknown>((node, part) => {
    const target = behind(node, document);
    return isSeq(target) ? target.items[Number(part)] : pairOf(target, part, document)?.value;
  }, document.contents);
}

function pairOf(node: unknown, key: string | number | undefined, document: Document): Pair | undefined {
  const target = behind(node, document);
  if (!isMap(target)) return undefined;
  return target.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
}

function behind(node: unknown, document: Document): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}
