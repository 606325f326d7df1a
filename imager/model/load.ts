/** Reads a configuration file: YAML to checked ImagerConfig, or every fault at once with its line and column. */
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
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
import { MAX_FRAME } from '../../agent/protocol/frame.ts';
import { assemble } from './assemble.ts';
import type { ImagerConfig, UserConfig } from './config.ts';
import { findContradictions } from './consistency.ts';
import { ConfigError, type ConfigPath, describeValue, type Fault, type Finding, pathText } from './fault.ts';
import { type ConfigFile, configFile, MAX_SCRIPT_BYTES } from './schema.ts';

/** One anchor may serve every node of a big file. Aliases of aliases count as often as they multiply. */
const MAX_ALIASES = 100_000;
/** Room for what a welcome carries beside its scripts. */
const FRAME_RESERVE = 64 * 1024;

/** Reads and checks `file`. Throws ConfigError with every fault found. */
export function loadConfig(file: string): ImagerConfig {
  const path = resolve(file);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const found = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : String(error);
    throw new ConfigError(file, [{ line: 0, column: 0, path: '', found, expected: 'a configuration file' }]);
  }
  return parseConfig(text, file);
}

/** Checks the text of a configuration file; `file` names it in errors and is what its paths are relative to. */
export function parseConfig(text: string, file: string): ImagerConfig {
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
  const refuse = (findings: Finding[]): never => {
    throw new ConfigError(
      file,
      findings.map((finding) => locate(finding, document, lines)).sort((a, b) => a.line - b.line),
    );
  };
  const shape = configFile.safeParse(content ?? {});
  if (!shape.success) return refuse(shape.error.issues.flatMap(findingsOf));
  const contradictions = findContradictions(shape.data);
  const scripts = readScripts(shape.data, dirname(resolve(file)));
  const findings = [
    ...contradictions,
    ...pathFindings(shape.data, dirname(resolve(file))),
    ...scripts.findings,
  ];
  if (findings.length > 0) return refuse(findings);
  return assemble(shape.data, resolve(file), scripts.userConfigs);
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
  let offset = 0;
  for (let length = finding.path.length; length >= 0; length--) {
    const range = rangeOf(finding.path.slice(0, length), document, finding.atKey === true);
    if (range === undefined) continue;
    offset = range;
    break;
  }
  const { line, col } = lines.linePos(offset);
  const value = nodeAt(finding.path, document);
  const found = finding.found ?? describeNode(value, document);
  return { line, column: col, path: pathText(finding.path), found, expected: finding.expected };
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

interface ScriptsRead {
  userConfigs: Record<string, UserConfig>;
  findings: Finding[];
}

function readScripts(file: ConfigFile, directory: string): ScriptsRead {
  const findings: Finding[] = [];
  const userConfigs: Record<string, UserConfig> = {};
  for (const [key, { secondReboot, services, scripts }] of Object.entries(file.userConfigs)) {
    let bytes = 0;
    const read = scripts.map((script, index) => {
      const path = ['userConfigs', key, 'scripts', index, script.file === undefined ? 'content' : 'file'];
      let content = script.content ?? '';
      if (script.file !== undefined && script.content === undefined) {
        const found = readScript(resolve(directory, script.file));
        if (typeof found === 'string') content = found;
        else findings.push({ path, found: `${script.file}: ${found.why}`, expected: 'a readable text file' });
      }
      const length = Buffer.byteLength(content);
      bytes += length;
      // The protocol counts UTF-16 units and the frame bytes: holding bytes to the limit holds both.
      if (length > MAX_SCRIPT_BYTES)
        findings.push({ path, found: `${length} bytes`, expected: `at most ${MAX_SCRIPT_BYTES}` });
      return { name: script.name, stage: script.stage, content, timeoutSeconds: script.timeoutSeconds };
    });
    if (bytes > MAX_FRAME - FRAME_RESERVE)
      findings.push({
        path: ['userConfigs', key, 'scripts'],
        found: `${bytes} bytes of scripts`,
        expected: `at most ${MAX_FRAME - FRAME_RESERVE} together: they travel in one message`,
      });
    userConfigs[key] = { secondReboot, scripts: read, services };
  }
  return { userConfigs, findings };
}

/** Paths that are opened later, by who starts the servers. */
function pathFindings({ templates, https, nbd }: ConfigFile, directory: string): Finding[] {
  const findings: Finding[] = [];
  const check = (path: ConfigPath, value: string | undefined, expected: string) => {
    const found = value === undefined ? expected : kindOf(resolve(directory, value));
    if (found !== expected) findings.push({ path, found: `${value}: ${found}`, expected });
  };
  check(['templates'], templates, 'a folder');
  check(['https', 'cert'], https?.cert, 'a file');
  check(['https', 'key'], https?.key, 'a file');
  for (const key of ['cert', 'key', 'ca', 'psk'] as const)
    check(['nbd', 'tls', key], nbd.tls?.[key], 'a file');
  return findings;
}

function kindOf(path: string): string {
  try {
    const found = statSync(path);
    return found.isDirectory() ? 'a folder' : found.isFile() ? 'a file' : 'no regular file';
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'no such file' : message.replace(/, stat .*$/s, '');
  }
}

function readScript(path: string): string | { why: string } {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return { why: 'no such file' };
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return { why: 'not UTF-8 text' };
    return { why: error instanceof Error ? error.message : String(error) };
  }
}
