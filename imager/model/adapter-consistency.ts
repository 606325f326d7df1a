/** Contradictions in what nodes' adapters are given: addresses that are somebody else's, gateways out of reach. Pure. */
import type { ConfigPath, Finding } from './fault.ts';
import { hostFault, parseNetwork } from './ipv4.ts';
import { networksOf } from './network-consistency.ts';
import type { ConfigFile } from './schema.ts';

type FileNode = ConfigFile['nodes'][number];
type FileAdapter = NonNullable<FileNode['adapters']>[number];

/** Every contradiction of the nodes' `adapters`. */
export function adapterFindings(file: ConfigFile): Finding[] {
  const findings: Finding[] = [];
  const owners = ownersOf(file);
  file.nodes.forEach((node, index) => {
    const known = new Set<string>();
    const gateways = node.adapters?.filter(({ gateway }) => gateway !== undefined) ?? [];
    node.adapters?.forEach((adapter, at) => {
      const path = ['nodes', index, 'adapters', at];
      const mac = adapter.mac ?? node.mac ?? '';
      if (known.has(mac))
        findings.push({
          path: [...path],
          found: mac === '' ? 'a second adapter without mac' : `${mac} a second time`,
          expected: 'one entry an adapter',
        });
      known.add(mac);
      if (adapter.setMac === undefined && adapter.address === undefined)
        findings.push({ path: [...path], found: 'nothing to set', expected: 'setMac or address' });
      findings.push(
        ...ownFindings(owners, node, adapter, path),
        ...addressFindings(file, node, adapter, path),
      );
      if (gateways.length > 1 && adapter.gateway !== undefined)
        findings.push({
          path: [...path, 'gateway'],
          found: `${gateways.length} gateways of one node`,
          expected: 'one, for its default route',
        });
    });
  });
  return findings;
}

/** Whose each MAC and address is: the first that says so. A node may name its own MACs twice. */
function ownersOf(file: ConfigFile): Map<string, string> {
  const owners = new Map<string, string>();
  const take = (what: string, value: string | undefined, owner: string) => {
    if (value !== undefined && !owners.has(`${what} ${value}`)) owners.set(`${what} ${value}`, owner);
  };
  file.nodes.forEach(({ name, mac, address, adapters = [] }, index) => {
    const owner = `nodes[${index}] (${name})`;
    take('mac', mac, owner);
    take('address', address, owner);
    for (const adapter of adapters) take('mac', adapter.mac, owner);
  });
  take('address', file.network.address, 'the imager');
  for (const { router } of networksOf(file)) take('address', router, 'the router');
  file.nodes.forEach(({ name, adapters = [] }, index) => {
    adapters.forEach((adapter, at) => {
      const owner = `nodes[${index}].adapters[${at}] (${name})`;
      take('mac', adapter.setMac, owner);
      take('address', addressOf(adapter), owner);
    });
  });
  return owners;
}

function ownFindings(
  owners: ReadonlyMap<string, string>,
  node: FileNode,
  adapter: FileAdapter,
  path: ConfigPath,
): Finding[] {
  const own = `${path[0]}[${path[1]}] (${node.name})`;
  const set = `${path[0]}[${path[1]}].adapters[${path[3]}] (${node.name})`;
  const finding = (field: string, what: string, value: string | undefined, mine: string): Finding[] => {
    const owner = value === undefined ? mine : owners.get(`${what} ${value}`);
    if (owner === mine) return [];
    return [
      {
        path: [...path, field],
        found: `${value}, already the ${what} of ${owner}`,
        expected: `a ${what} of its own`,
      },
    ];
  };
  return [
    ...finding('mac', 'mac', adapter.mac, own),
    ...finding('setMac', 'mac', adapter.setMac, set),
    // Its reserved address may be set as well: then that alone is what it has in any case.
    ...finding('address', 'address', addressOf(adapter), addressOf(adapter) === node.address ? own : set),
  ];
}

function addressFindings(
  file: ConfigFile,
  node: FileNode,
  adapter: FileAdapter,
  path: ConfigPath,
): Finding[] {
  const { address: text, gateway } = adapter;
  if (text === undefined)
    return gateway === undefined
      ? []
      : [
          {
            path: [...path, 'gateway'],
            found: `${gateway} without address`,
            expected: 'an address beside it',
          },
        ];
  const { address, prefix } = parseNetwork(text)!;
  const fault = hostFault(address, address, prefix);
  if (fault !== undefined)
    return [
      { path: [...path, 'address'], found: `${text}, which ${fault}`, expected: 'the address of a host' },
    ];
  const findings: Finding[] = [];
  const away = gateway === undefined ? undefined : hostFault(gateway, address, prefix);
  if (away !== undefined || gateway === address)
    findings.push({
      path: [...path, 'gateway'],
      found: `${gateway}, which ${away ?? 'is the address itself'}`,
      expected: `a host of the network of ${text}`,
    });
  // Its disk comes over this one, and the imager gives disks to its networks alone.
  const boots = adapter.mac === undefined || adapter.mac === node.mac;
  if (boots && networksOf(file).every((home) => hostFault(address, home.base, home.prefix) !== undefined))
    findings.push({
      path: [...path, 'address'],
      found: `${text}, outside the nodes' networks`,
      expected: 'a host of the network or of a subnet, where the node boots over this adapter',
    });
  return findings;
}

function addressOf({ address }: FileAdapter): string | undefined {
  return address === undefined ? undefined : parseNetwork(address)?.address;
}
