/** Contradictions in what nodes' adapters are given: addresses that are somebody else's, gateways out of reach. Pure. */
import type { ConfigPath, Finding } from './fault.ts';
import { hostFault, parseNetwork } from './ipv4.ts';
import { networksOf } from './network-consistency.ts';
import type { ConfigFile } from './schema.ts';

type FileNode = ConfigFile['nodes'][number];

/** One adapter of the file. */
interface Entry {
  node: FileNode;
  adapter: NonNullable<FileNode['adapters']>[number];
  path: ConfigPath;
  /** Words for the node, and for this entry of it. */
  owner: string;
  own: string;
  /** Its address without the prefix. */
  address: string | undefined;
  /** The node boots over it, as far as the file says. */
  boots: boolean;
}

/** Every contradiction of the nodes' `adapters`. */
export function adapterFindings(file: ConfigFile): Finding[] {
  const entries = file.nodes.flatMap(entriesOf);
  const owners = ownersOf(file, entries);
  return entries.flatMap((entry) => [
    ...markFindings(entry),
    ...ownerFindings(entry, owners),
    ...addressFindings(entry, file),
    ...gatewayFindings(entry),
  ]);
}

function entriesOf(node: FileNode, index: number): Entry[] {
  return (node.adapters ?? []).map((adapter, at) => ({
    ...{ node, adapter },
    path: ['nodes', index, 'adapters', at],
    owner: ownerText(node, index),
    own: `nodes[${index}].adapters[${at}] (${node.name})`,
    address: adapter.address === undefined ? undefined : parseNetwork(adapter.address)?.address,
    boots: adapter.mac === undefined || adapter.mac === node.mac,
  }));
}

function ownerText({ name }: FileNode, index: number): string {
  return `nodes[${index}] (${name})`;
}

/** Whose each MAC and address is: the first that says so, and those who are known by one before those who are given it. */
function ownersOf(file: ConfigFile, entries: readonly Entry[]): Map<string, string> {
  const owners = new Map<string, string>();
  const take = (what: 'mac' | 'address', value: string | undefined, owner: string) => {
    if (value !== undefined && !owners.has(`${what} ${value}`)) owners.set(`${what} ${value}`, owner);
  };
  file.nodes.forEach((node, index) => {
    take('mac', node.mac, ownerText(node, index));
    take('address', node.address, ownerText(node, index));
  });
  for (const { adapter, owner } of entries) take('mac', adapter.mac, owner);
  take('address', file.network.address, 'the imager');
  for (const { router } of networksOf(file)) take('address', router, 'the router');
  for (const { adapter, address, own } of entries) {
    take('mac', adapter.setMac, own);
    take('address', address, own);
  }
  return owners;
}

function markFindings({ node, adapter, path }: Entry): Finding[] {
  const markOf = ({ mac }: Entry['adapter']) => mac ?? node.mac;
  const mark = markOf(adapter);
  const findings: Finding[] = [];
  if (node.adapters?.find((each) => markOf(each) === mark) !== adapter)
    findings.push({
      path,
      found: mark === undefined ? 'a second adapter without mac' : `${mark} a second time`,
      expected: 'one entry an adapter',
    });
  if (adapter.setMac === undefined && adapter.address === undefined)
    findings.push({ path, found: 'nothing to set', expected: 'setMac or address' });
  return findings;
}

function ownerFindings(
  { node, adapter, path, owner, own, address, boots }: Entry,
  owners: ReadonlyMap<string, string>,
): Finding[] {
  const finding = (field: string, what: 'mac' | 'address', value: string | undefined, mine: string) => {
    const other = value === undefined ? mine : owners.get(`${what} ${value}`);
    if (other === mine) return [];
    const found = `${value}, already the ${what} of ${other}`;
    return [{ path: [...path, field], found, expected: 'one of its own' }];
  };
  // Where it boots it may be given its reserved address: then that alone is what it has, whoever gave it another.
  const reserved = boots && address === node.address;
  return [
    ...finding('mac', 'mac', adapter.mac, owner),
    ...finding('setMac', 'mac', adapter.setMac, own),
    ...finding('address', 'address', address, reserved ? owner : own),
  ];
}

function addressFindings({ adapter, path, address, boots }: Entry, file: ConfigFile): Finding[] {
  if (address === undefined) return [];
  const at = [...path, 'address'];
  const fault = hostFault(address, address, parseNetwork(adapter.address!)!.prefix);
  if (fault !== undefined)
    return [{ path: at, found: `${address}, which ${fault}`, expected: 'the address of a host' }];
  // Its disk comes over this one, and the imager gives disks to its networks alone.
  const isHome = networksOf(file).some(({ base, prefix }) => hostFault(address, base, prefix) === undefined);
  if (!boots || isHome) return [];
  return [
    {
      path: at,
      found: `${address}, outside the nodes' networks`,
      expected: 'a host of the network or of a subnet, where the node boots over this adapter',
    },
  ];
}

function gatewayFindings({ node, adapter, path, address }: Entry): Finding[] {
  const { gateway } = adapter;
  if (gateway === undefined) return [];
  const at = [...path, 'gateway'];
  if (address === undefined)
    return [{ path: at, found: `${gateway} without address`, expected: 'an address beside it' }];
  const findings: Finding[] = [];
  const { prefix } = parseNetwork(adapter.address!)!;
  const fault = gateway === address ? 'is the address itself' : hostFault(gateway, address, prefix);
  if (fault !== undefined)
    findings.push({
      path: at,
      found: `${gateway}, which ${fault}`,
      expected: `a host of the network of ${adapter.address}`,
    });
  const all = node.adapters?.filter((each) => each.gateway !== undefined).length ?? 0;
  if (all > 1)
    findings.push({
      path: at,
      found: `one of ${all}`,
      expected: 'one gateway a node, for its default route',
    });
  return findings;
}
