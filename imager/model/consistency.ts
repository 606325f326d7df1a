/** What the shape alone cannot tell: names, addresses and references that contradict each other. Pure. */

import { ipv4ToNumber } from '../../agent/protocol/ipv4.ts';
import type { ConfigPath, Finding } from './fault.ts';
import { hostFault } from './ipv4.ts';
import { type ConfigFile, isHostName } from './schema.ts';

const MAX_POOL = 65_536;

/** Every contradiction in `file`, in the order of the file's sections. */
export function findContradictions(file: ConfigFile): Finding[] {
  return [
    ...networkFindings(file),
    ...portFindings(file),
    ...nodeFindings(file),
    ...userConfigFindings(file),
  ];
}

function networkFindings({ network }: ConfigFile): Finding[] {
  const findings: Finding[] = [];
  const check = (path: ConfigPath, address: string | undefined) => {
    if (address === undefined) return;
    const fault = hostFault(address, network.address, network.prefix);
    if (fault !== undefined)
      findings.push({
        path,
        found: `${address}, which ${fault}`,
        expected: 'a host address of this network',
      });
  };
  check(['network', 'address'], network.address);
  check(['network', 'router'], network.router);
  if (network.pool === undefined) return findings;
  const { from, to } = network.pool;
  check(['network', 'pool', 'from'], from);
  check(['network', 'pool', 'to'], to);
  const [low, high, own] = [from, to, network.address].map(ipv4ToNumber) as [number, number, number];
  if (low > high)
    findings.push({
      path: ['network', 'pool', 'to'],
      found: `${to}, below ${from}`,
      expected: 'the last address of the pool',
    });
  if (high - low >= MAX_POOL)
    findings.push({
      path: ['network', 'pool'],
      found: `${high - low + 1} addresses`,
      expected: `at most ${MAX_POOL}: the DHCP server searches it`,
    });
  if (low <= own && own <= high)
    findings.push({
      path: ['network', 'pool'],
      found: `${from} to ${to}, which holds the imager's own ${network.address}`,
      expected: 'a pool without it',
    });
  return findings;
}

function portFindings({ ports }: ConfigFile): Finding[] {
  const findings: Finding[] = [];
  for (const group of [['tftp', 'dhcp'] as const, ['http', 'nbd', 'agent'] as const]) {
    const seen = new Map<number, string>();
    for (const service of group) {
      const port = ports[service];
      const other = port === 0 ? undefined : seen.get(port);
      if (other !== undefined)
        findings.push({
          path: ['ports', service],
          found: `${port}, the port of ${other}`,
          expected: 'a port of its own',
        });
      seen.set(port, service);
    }
  }
  return findings;
}

function nodeFindings(file: ConfigFile): Finding[] {
  const findings: Finding[] = [];
  const { network } = file;
  const owners = new Map<string, string>();
  file.nodes.forEach((node, index) => {
    for (const field of ['name', 'mac', 'uid', 'address'] as const) {
      const value = node[field];
      if (value === undefined) continue;
      const owner = owners.get(`${field} ${value}`);
      if (owner !== undefined)
        findings.push({
          path: ['nodes', index, field],
          found: `${value}, already the ${field} of ${owner}`,
          expected: `a ${field} of its own`,
        });
      else owners.set(`${field} ${value}`, `nodes[${index}] (${node.name})`);
    }
    if (node.mac === undefined && node.uid === undefined)
      findings.push({
        path: ['nodes', index],
        found: 'neither mac nor uid',
        expected: 'at least one of them, to recognise the node by',
      });
    if (node.address !== undefined) {
      const path = ['nodes', index, 'address'];
      const fault = hostFault(node.address, network.address, network.prefix);
      if (fault !== undefined)
        findings.push({ path, found: `${node.address}, which ${fault}`, expected: 'a host of this network' });
      else if (node.address === network.address)
        findings.push({
          path,
          found: `${node.address}, the imager's own address`,
          expected: 'another address',
        });
      else if (node.address === network.router)
        findings.push({ path, found: `${node.address}, the router's address`, expected: 'another address' });
    } else if (network.pool === undefined)
      findings.push({
        path: ['nodes', index],
        found: 'no address, and the network has no pool',
        expected: 'an address here or network.pool',
      });
    if (node.hostname === undefined && !isHostName(node.name))
      findings.push({
        path: ['nodes', index, 'name'],
        found: `${node.name}, which cannot be a host name`,
        expected: 'a hostname beside it (letters, digits and -)',
      });
    if (node.userConfig !== undefined && !Object.hasOwn(file.userConfigs, node.userConfig))
      findings.push({
        path: ['nodes', index, 'userConfig'],
        expected: `one of ${Object.keys(file.userConfigs).join(', ') || 'userConfigs, which is empty'}`,
      });
  });
  return findings;
}

function userConfigFindings(file: ConfigFile): Finding[] {
  const findings: Finding[] = [];
  for (const [key, userConfig] of Object.entries(file.userConfigs)) {
    const names = new Set<string>();
    userConfig.scripts.forEach((script, index) => {
      const path = ['userConfigs', key, 'scripts', index] as const;
      if (script.stage === 1 && !userConfig.secondReboot)
        findings.push({
          path: [...path, 'stage'],
          found: '1 without secondReboot',
          expected: 'secondReboot: true (stage 1 runs between the two reboots), or stage 2',
        });
      if ((script.file === undefined) === (script.content === undefined))
        findings.push({
          path: [...path],
          found: script.file === undefined ? 'neither file nor content' : 'both file and content',
          expected: 'one of them',
        });
      if (names.has(script.name))
        findings.push({
          path: [...path, 'name'],
          found: `${script.name} a second time`,
          expected: 'a name of its own within the user configuration',
        });
      names.add(script.name);
    });
  }
  return findings;
}
