/** What the shape alone cannot tell: names, addresses and references that contradict each other. Pure. */

import { adapterFindings } from './adapter-consistency.ts';
import { MISSED_BEATS } from './config.ts';
import type { Finding } from './fault.ts';
import { hostFault } from './ipv4.ts';
import { menuFindings } from './menu-consistency.ts';
import { networkFindings, networksOf } from './network-consistency.ts';
import { type ConfigFile, isHostName } from './schema.ts';

/** Every contradiction in `file`, in the order of the file's sections. */
export function findContradictions(file: ConfigFile): Finding[] {
  return [
    ...networkFindings(file),
    ...portFindings(file),
    ...tlsFindings(file),
    ...agentFindings(file),
    ...menuFindings(file),
    ...nodeFindings(file),
    ...adapterFindings(file),
    ...userConfigFindings(file),
  ];
}

function portFindings({ ports, https }: ConfigFile): Finding[] {
  const findings: Finding[] = [];
  const tcp = (['http', 'nbd', 'agent'] as const).map((name) => ({
    name,
    port: ports[name],
    path: ['ports', name],
  }));
  const udp = (['tftp', 'dhcp'] as const).map((name) => ({ name, port: ports[name], path: ['ports', name] }));
  const tls = https === undefined ? [] : [{ name: 'https', port: https.port, path: ['https', 'port'] }];
  for (const group of [udp, [...tcp, ...tls]]) {
    const seen = new Map<number, string>();
    for (const { name, port, path } of group) {
      const other = port === 0 ? undefined : seen.get(port);
      if (other !== undefined)
        findings.push({ path, found: `${port}, the port of ${other}`, expected: 'a port of its own' });
      seen.set(port, name);
    }
  }
  return findings;
}

/** Certificates come as three files or not at all; with no key of any kind there is no TLS. */
function tlsFindings({ nbd: { tls } }: ConfigFile): Finding[] {
  if (tls === undefined || tls.mode === 'off') return [];
  const path = ['nbd', 'tls'];
  const missing = (['cert', 'key', 'ca'] as const).filter((key) => tls[key] === undefined);
  if (missing.length === 3 && tls.psk === undefined)
    return [{ path, found: 'no keys', expected: 'cert, key and ca, or psk, or all of them' }];
  if (missing.length === 0 || missing.length === 3) return [];
  return [{ path, found: `no ${missing.join(' and no ')}`, expected: 'cert, key and ca together' }];
}

/** A connection ends after three heartbeats that did not come, and its node has to have time to connect anew. */
function agentFindings({ agents: { heartbeatSeconds, lostSeconds } }: ConfigFile): Finding[] {
  if (lostSeconds > MISSED_BEATS * heartbeatSeconds) return [];
  return [
    {
      path: ['agents', 'lostSeconds'],
      found: `${lostSeconds} with a heartbeat each ${heartbeatSeconds} s`,
      expected: `more than ${MISSED_BEATS} heartbeats (agents.heartbeatSeconds)`,
    },
  ];
}

/** What a node can be recognised by, in the order of dhcp/world.ts. */
const MARKS = ['uid', 'mac', 'clientId', 'circuit'] as const;

function nodeFindings(file: ConfigFile): Finding[] {
  const findings: Finding[] = [];
  const owners = new Map<string, string>();
  file.nodes.forEach((node, index) => {
    for (const field of ['name', ...MARKS, 'serial', 'address'] as const) {
      const value = node[field];
      if (value === undefined) continue;
      const owner = owners.get(`${field} ${value}`);
      if (owner !== undefined)
        findings.push({
          path: ['nodes', index, field],
          found: `${value}, already the ${field} of ${owner}`,
          expected: 'one of its own',
        });
      else owners.set(`${field} ${value}`, `nodes[${index}] (${node.name})`);
    }
    if (MARKS.every((mark) => node[mark] === undefined))
      findings.push({
        path: ['nodes', index],
        found: 'neither mac, uid, clientId nor circuit',
        expected: 'at least one of them, to recognise the node by',
      });
    findings.push(...addressFindings(file, index));
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

function addressFindings(file: ConfigFile, index: number): Finding[] {
  const { network, dhcp, nodes } = file;
  const address = nodes[index]?.address;
  const networks = networksOf(file);
  if (address === undefined) {
    if (dhcp.mode !== 'server' || networks.some(({ pools }) => pools.length > 0)) return [];
    return [
      {
        path: ['nodes', index],
        found: 'no address, and the network has no pool',
        expected: 'an address here or network.pool',
      },
    ];
  }
  const path = ['nodes', index, 'address'];
  const faults = networks.map(({ base, prefix }) => hostFault(address, base, prefix));
  const home = networks[faults.indexOf(undefined)];
  if (home === undefined) {
    const [first] = faults.filter((fault) => !fault?.startsWith('is outside')).concat(faults);
    const expected =
      networks.length === 1 ? 'a host of this network' : 'a host of the network or of a subnet';
    return [{ path, found: `${address}, which ${first}`, expected }];
  }
  if (address === network.address)
    return [{ path, found: `${address}, the imager's own address`, expected: 'another address' }];
  if (address === home.router)
    return [{ path, found: `${address}, the router's address`, expected: 'another address' }];
  return [];
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
