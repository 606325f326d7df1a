/** Reads a configuration file: YAML to checked ImagerConfig, or every fault at once with its line and column. */
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { MAX_FRAME } from '../../agent/protocol/frame.ts';
import { assemble } from './assemble.ts';
import type { ImagerConfig, ImagerSettings, UserConfig } from './config.ts';
import { findContradictions } from './consistency.ts';
import { checkYaml, readYaml } from './document.ts';
import type { ConfigPath, Finding } from './fault.ts';
import { type ConfigFile, configFile, MAX_SCRIPT_BYTES } from './schema.ts';

/** Room for what a welcome carries beside its scripts. */
const FRAME_RESERVE = 64 * 1024;

/** Reads and checks `file`. Throws ConfigError with every fault found. */
export function loadConfig(file: string): ImagerConfig {
  return parseConfig(readYaml(resolve(file), file, 'a configuration file'), file);
}

/**
 * Reads and checks `file` alone: of the files it names (scripts, keys, certificates) none is looked at. For verbs that ask a running
 * imager, or look into its state. Throws ConfigError with every fault found.
 */
export function loadSettings(file: string): ImagerSettings {
  const { data, refuse } = checkYaml(readYaml(resolve(file), file, 'a configuration file'), file, configFile);
  const findings = findContradictions(data);
  return findings.length > 0 ? refuse(findings) : assemble(data, resolve(file));
}

/** Checks the text of a configuration file; `file` names it in errors and is what its paths are relative to. */
export function parseConfig(text: string, file: string): ImagerConfig {
  const { data, refuse } = checkYaml(text, file, configFile);
  const checked = configOf(data, resolve(file));
  return 'findings' in checked ? refuse(checked.findings) : checked.config;
}

/**
 * The configuration that a file of the right shape says, or what is wrong with it. `path` (absolute) is the file that its
 * paths are relative to. Reads scripts.
 */
export function configOf(
  file: ConfigFile,
  path: string,
): { config: ImagerConfig } | { findings: readonly Finding[] } {
  const scripts = readScripts(file, dirname(path));
  const findings = [...findContradictions(file), ...pathFindings(file, dirname(path)), ...scripts.findings];
  const { userConfigs } = scripts;
  return findings.length > 0 ? { findings } : { config: { ...assemble(file, path), userConfigs } };
}

interface ScriptsRead {
  userConfigs: Record<string, UserConfig>;
  findings: Finding[];
}

function readScripts(file: ConfigFile, directory: string): ScriptsRead {
  const findings: Finding[] = [];
  const userConfigs: Record<string, UserConfig> = {};
  for (const [key, { secondReboot, services, scripts, onFailure }] of Object.entries(file.userConfigs)) {
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
      const { name, stage, timeoutSeconds, run } = script;
      return { name, stage, content, timeoutSeconds, run, onFailure: script.onFailure ?? onFailure };
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
function pathFindings({ templates, https, nbd, agents }: ConfigFile, directory: string): Finding[] {
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
  check(['agents', 'enrolmentKey'], agents.enrolmentKey, 'a file');
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
