/** Contradictions among addresses: pools, routers, subnets, DHCP options. Pure. */
import { ipv4ToNumber } from '../../agent/protocol/ipv4.ts';
import type { ConfigPath, Finding } from './fault.ts';
import { hostFault, networkRange, parseNetwork } from './ipv4.ts';
import type { ConfigFile } from './schema.ts';

const MAX_POOL = 65_536;

/** One network of the file, whichever section it is in. */
export interface FileNetwork {
  path: ConfigPath;
  /** Any address of it. */
  base: string;
  prefix: number;
  router: string | undefined;
  pools: { path: ConfigPath; from: string; to: string }[];
}

/** The nodes' network and the subnets behind relay agents. */
export function networksOf({ network, dhcp }: ConfigFile): FileNetwork[] {
  const { pool } = network;
  const own = Array.isArray(pool)
    ? pool.map((range, index) => ({ path: ['network', 'pool', index], ...range }))
    : pool === undefined
      ? []
      : [{ path: ['network', 'pool'], ...pool }];
  const nodes = {
    path: ['network'],
    base: network.address,
    prefix: network.prefix,
    router: network.router,
    pools: own,
  };
  const subnets = dhcp.subnets.map(({ network: text, router, pools }, index) => {
    const path = ['dhcp', 'subnets', index];
    const { address, prefix } = parseNetwork(text)!;
    return {
      path,
      base: address,
      prefix,
      router,
      pools: pools.map((range, at) => ({ path: [...path, 'pools', at], ...range })),
    };
  });
  return [nodes, ...subnets];
}

/** Every contradiction of the sections `network` and `dhcp`. */
export function networkFindings(file: ConfigFile): Finding[] {
  const networks = networksOf(file);
  return [
    ...hostFindings(['network', 'address'], file.network.address, networks[0]!),
    ...networks.flatMap((network) => [
      ...hostFindings([...network.path, 'router'], network.router, network),
      ...poolFindings(network, file.network.address),
    ]),
    ...subnetFindings(file, networks),
    ...optionFindings(file),
  ];
}

function hostFindings(path: ConfigPath, address: string | undefined, network: FileNetwork): Finding[] {
  const fault = address === undefined ? undefined : hostFault(address, network.base, network.prefix);
  return fault === undefined
    ? []
    : [{ path, found: `${address}, which ${fault}`, expected: 'a host address of this network' }];
}

function poolFindings(network: FileNetwork, imager: string): Finding[] {
  const findings: Finding[] = [];
  const own = ipv4ToNumber(imager);
  let addresses = 0;
  network.pools.forEach(({ path, from, to }, index) => {
    findings.push(
      ...hostFindings([...path, 'from'], from, network),
      ...hostFindings([...path, 'to'], to, network),
    );
    const [low, high] = [ipv4ToNumber(from), ipv4ToNumber(to)];
    if (low > high)
      findings.push({
        path: [...path, 'to'],
        found: `${to}, below ${from}`,
        expected: 'the last address of the pool',
      });
    else addresses += high - low + 1;
    if (low <= own && own <= high)
      findings.push({
        path,
        found: `${from} to ${to}, which holds the imager's own ${imager}`,
        expected: 'a pool without it',
      });
    const other = network.pools
      .slice(0, index)
      .find((earlier) => ipv4ToNumber(earlier.from) <= high && low <= ipv4ToNumber(earlier.to));
    if (other !== undefined)
      findings.push({
        path,
        found: `${from} to ${to}, which overlaps ${other.from} to ${other.to}`,
        expected: 'ranges apart from each other',
      });
  });
  if (addresses > MAX_POOL)
    findings.push({
      path: network.pools.length === 1 ? network.pools[0]!.path : network.path,
      found: `${addresses} addresses`,
      expected: `at most ${MAX_POOL} in one network: the DHCP server searches them`,
    });
  return findings;
}

function subnetFindings(file: ConfigFile, networks: readonly FileNetwork[]): Finding[] {
  const findings: Finding[] = [];
  const circuits = new Map<string, number>();
  file.dhcp.subnets.forEach((subnet, index) => {
    const network = networks[index + 1]!;
    const path = [...network.path, 'network'];
    const { first, last } = networkRange(network.base, network.prefix);
    if (first !== ipv4ToNumber(network.base))
      findings.push({
        path,
        found: `${subnet.network}, which has bits behind its prefix`,
        expected: 'the first address of the network',
      });
    const other = networks.slice(0, index + 1).find((earlier) => {
      const range = networkRange(earlier.base, earlier.prefix);
      return range.first <= last && first <= range.last;
    });
    if (other !== undefined)
      findings.push({
        path,
        found: `${subnet.network}, which overlaps ${other.base}/${other.prefix}`,
        expected: 'a network of its own',
      });
    subnet.circuits.forEach((circuit, at) => {
      const owner = circuits.get(circuit);
      if (owner !== undefined)
        findings.push({
          path: [...network.path, 'circuits', at],
          found: `${circuit}, already a circuit of dhcp.subnets[${owner}]`,
          expected: 'a circuit of its own',
        });
      circuits.set(circuit, index);
    });
  });
  return findings;
}

function optionFindings(file: ConfigFile): Finding[] {
  const findings: Finding[] = [];
  file.dhcp.options.forEach((option, index) => {
    const path = ['dhcp', 'options', index];
    const given = (['text', 'hex', 'addresses'] as const).filter((kind) => option[kind] !== undefined);
    if (given.length !== 1)
      findings.push({
        path,
        found: given.join(' and ') || 'no value',
        expected: 'one of text, hex and addresses',
      });
    const node = option.for?.node;
    if (node !== undefined && !file.nodes.some(({ name }) => name === node))
      findings.push({ path: [...path, 'for', 'node'], expected: 'the name of one of nodes' });
  });
  return findings;
}
