/** What the imager keeps under its state folder, opened in order, and what is told from several of them at once. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { parseUid } from '../../agent/protocol/uid.ts';
import { Admissions } from '../agents/admissions.ts';
import { Directory } from '../agents/directory.ts';
import { Outputs } from '../agents/outputs.ts';
import { clusterSigner } from '../definitions/cluster-signer.ts';
import { Definitions } from '../definitions/store.ts';
import { leaseAt } from '../dhcp/leases.ts';
import { Disks } from '../disks/catalog.ts';
import { BootTable } from '../images/table.ts';
import { BootTree } from '../images/tree.ts';
import { systemClock } from '../journal/clock.ts';
import { Journal } from '../journal/journal.ts';
import { Recorder } from '../journal/recorder.ts';
import { bootFileFaults } from '../menus/boot-file-check.ts';
import type { Menus } from '../menus/menus.ts';
import type { ImagerConfig } from '../model/config.ts';
import { NodeIndex } from '../model/nodes.ts';
import { Packs } from '../packs/packs.ts';
import { LmdbRegistry } from '../registry/lmdb.ts';
import { lesseeOf, nodeOfLease } from './dhcp-settings.ts';
import { mayOpen } from './disk-policy.ts';
import { nodeAddresses } from './node-addresses.ts';
import { openMenus } from './node-menus.ts';
import type { Started } from './started.ts';
import { lockState } from './state-lock.ts';

export interface Stores {
  nodes: NodeIndex;
  journal: Journal;
  recorder: Recorder;
  registry: LmdbRegistry;
  directory: Directory;
  admissions: Admissions;
  outputs: Outputs;
  table: BootTable;
  menus: Menus;
  files: BootTree;
  disks: Disks;
  packs: Packs;
  /** Whether a node has this address. */
  isAt(node: string, address: string): boolean;
  /** One address for all those of a node. */
  clientAt(address: string): string;
}

export interface StoreParts {
  config: ImagerConfig;
  log: Logger;
  /** iPXE's programs of this machine. */
  ipxe: ConstructorParameters<typeof BootTree>[1];
  started: Started;
  /** Ports of those servers that run by now. */
  portOf(service: 'http' | 'tftp'): number | undefined;
}

/** Opens them all. Rejects where one cannot be. */
export async function openStores({ config, log, ipxe, started, portOf }: StoreParts): Promise<Stores> {
  const nodes = new NodeIndex(config.nodes);
  await started(
    'state lock',
    () => lockState(config.state),
    (lock) => lock.release(),
  );
  const journal = await started(
    'boot journal',
    () => new Journal({ dir: join(config.state, 'journal'), log: log.child({ room: 'journal' }) }),
    (part) => part.close(),
  );
  const registry = await started(
    'registry',
    () => LmdbRegistry.open(join(config.state, 'registry')),
    (part) => part.close(),
  );
  const recorder = new Recorder({
    ...{ names: nodes, log: log.child({ room: 'journal' }), journal },
    lesseeOf: (address) => lesseeOf(nodes, leaseAt(registry, address)),
  });
  const directory = new Directory(registry, (node) => nodes.byName(node) !== undefined);
  const signer = await clusterSigner(config.state, registry);
  const definitions = await Definitions.open({
    registry,
    cluster: config.cluster,
    nodes: config.nodes.map(({ name }) => name),
    imagers: [config.network.address],
    signer,
  });
  const admissions = new Admissions({ definitions, enrolment: config.agents.enrolment, clock: systemClock });
  const outputs = new Outputs(registry);
  const table = await started(
    'boot table',
    () => BootTable.open(join(config.state, 'images'), signer),
    (part) => part.close(),
  );
  for (const problem of table.problems()) log.warn(problem);
  const holderOf = (client: string) => nodeOfLease(nodes, leaseAt(registry, client));
  const { addressOf, isAt, clientAt } = nodeAddresses({
    ...{ nodes, holderOf },
    lastOf: (name) => directory.get(name)?.address,
  });
  const menus = await started(
    'templates',
    () =>
      openMenus({
        ...{ config, nodes, directory, table, holderOf, addressOf, log: log.child({ room: 'menus' }) },
        port: portOf,
      }),
    (part) => part.library.close(),
  );
  const files = new BootTree(table, ipxe, menus);
  for (const { error } of await bootFileFaults(config, files))
    log.warn(`${error}: such firmware will not boot`);
  const disks = await started(
    'disks',
    () =>
      Disks.open({
        dir: config.state,
        log: log.child({ room: 'disks' }),
        lingerMs: 10_000,
        mayOpen: (disk, client) =>
          mayOpen(disk, client, {
            network: config.network,
            subnets: config.dhcp.subnets,
            ownerOf: (name) => directory.ownerOf(name),
            nodeNamed: (identity) =>
              (nodes.byName(identity) ?? nodes.byUid(parseUid(identity) ?? identity))?.name,
            isAt,
          }),
      }),
    (part) => part.close(),
  );
  const packs = await started(
    'packs',
    async () => {
      const part = new Packs({ disks, dir: join(config.state, 'bases'), log: log.child({ room: 'packs' }) });
      await part.makeMissing();
      return part;
    },
    (part) => part.close(),
  );
  recorder.watch((event) => packs.take(event));
  return {
    nodes,
    journal,
    recorder,
    registry,
    directory,
    admissions,
    table,
    menus,
    files,
    disks,
    packs,
    outputs,
    isAt,
    clientAt,
  };
}
