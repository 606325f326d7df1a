/** Reads a scenario's file: YAML to a checked Scenario, or every fault at once with its line and column. */
import { dirname, resolve } from 'node:path';
import type { ImagerConfig } from '../../../imager/model/config.ts';
import { checkYaml, readYaml } from '../../../imager/model/document.ts';
import type { ConfigPath, Finding } from '../../../imager/model/fault.ts';
import { configOf, parseConfig } from '../../../imager/model/load.ts';
import { type ConfigFile, configFile } from '../../../imager/model/schema.ts';
import { isStub } from '../qemu.ts';
import { absolutePaths } from './imager-content.ts';
import { Names } from './names.ts';
import { cutsOf, expectationsOf, itemsOf, writeStopsOf } from './parts.ts';
import { patternsOf } from './patterns.ts';
import type { Scenario, ScenarioImager, ScenarioNode } from './scenario.ts';
import { type NodeFile, type ScenarioFile, scenarioFile } from './schema.ts';

/** Where each run keeps its state in the end is the rig's to say. */
const STATE = './state';

/** Reads and checks `file`. Throws ConfigError with every fault found, of the configuration it names too. */
export function loadScenario(file: string): Scenario {
  return parseScenario(readYaml(resolve(file), file, 'a scenario file'), file);
}

/** Checks the text of a scenario; `file` names it in errors and is what its paths are relative to. Throws ConfigError. */
export function parseScenario(text: string, file: string): Scenario {
  const { data, content, refuse, lineOf } = checkYaml(text, file, scenarioFile);
  const findings: Finding[] = [];
  const imager = imagerOf(data.imager, (content as { imager: unknown }).imager, resolve(file), findings);
  if (imager === undefined) return refuse(findings);
  const nodes = data.nodes.map((node, i) => nodeOf(node, ['nodes', i], imager.config, findings));
  const names = new Names(data, findings);
  const script = itemsOf(data.script, names);
  const expect = expectationsOf(data, names);
  const cuts = cutsOf(data.cuts, names);
  if (findings.length > 0) return refuse(findings);
  return {
    ...{ file, name: data.name, seed: data.seed, timeoutMs: data.timeout },
    images: new Map(Object.entries(data.images)),
    ...{ nodes, imager, script, expect, cuts, lineOf },
    writeStops: writeStopsOf(patternsOf({ script, expect, cuts })),
  };
}

/** The imager's configuration: beside the scenario, or in it. Undefined where it has faults. */
function imagerOf(
  section: ScenarioFile['imager'],
  content: unknown,
  file: string,
  findings: Finding[],
): ScenarioImager | undefined {
  if (typeof section === 'string') {
    const path = resolve(dirname(file), section);
    const text = readYaml(path, path, 'a configuration file');
    const config = parseConfig(text, path);
    const content = checkYaml(text, path, configFile).content as Record<string, unknown>;
    return { config, content: absolutePaths(content, dirname(path)) };
  }
  const checked = configOf({ ...section, state: STATE } as ConfigFile, file);
  if ('config' in checked)
    return {
      config: checked.config,
      content: absolutePaths(content as Record<string, unknown>, dirname(file)),
    };
  findings.push(...checked.findings.map((each) => ({ ...each, path: ['imager', ...each.path] })));
  return undefined;
}

/** A node's MAC address and UID are those of its namesake in the imager's configuration, unless it says others. */
function nodeOf(node: NodeFile, path: ConfigPath, config: ImagerConfig, findings: Finding[]): ScenarioNode {
  const known = config.nodes.find(({ name }) => name === node.name);
  const { name, rig, firmware, pointer, mac = known?.mac, uid = known?.uid } = node;
  const need = (key: string, value: string | undefined): string => {
    if (value !== undefined) return value;
    findings.push({
      path: [...path, key],
      expected: `the ${key} of ${name}: the imager's configuration has none of it`,
    });
    return '';
  };
  if (firmware !== undefined && rig !== 'x86')
    findings.push({ path: [...path, 'firmware'], expected: 'nothing, except of rig x86' });
  if (firmware !== undefined && !isStub(firmware) && pointer !== undefined)
    findings.push({
      path: [...path, 'pointer'],
      expected: 'nothing: firmware that asks the network has no boot pointer',
    });
  return {
    ...{ name, rig, mac: need('mac', mac), uid: need('uid', uid), pointer },
    ...(firmware === undefined ? {} : { firmware }),
  };
}
