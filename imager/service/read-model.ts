/** The world as the read API shows it, put together from the stores and servers. */
import type { Admissions } from '../agents/admissions.ts';
import type { Directory, NodeRecord } from '../agents/directory.ts';
import type { Disks } from '../disks/catalog.ts';
import type { ReadModel } from '../http/read-model.ts';
import type { BootTable } from '../images/table.ts';
import { attemptsOf } from '../journal/attempts.ts';
import type { Clock } from '../journal/clock.ts';
import { isAbout, type Recorder } from '../journal/recorder.ts';
import type { Menus } from '../menus/menus.ts';
import { menusOf } from '../menus/show.ts';
import type { ImagerConfig, NodeConfig } from '../model/config.ts';
import type { NodeIndex } from '../model/nodes.ts';
import type { Joined, Liveness, NodeDetails, NodeView } from '../model/views.ts';
import type { Packs } from '../packs/packs.ts';
import { membershipOf } from './membership.ts';

export interface Sources {
  config: ImagerConfig;
  nodes: NodeIndex;
  directory: Directory;
  admissions: Admissions;
  table: BootTable;
  disks: Disks;
  packs: Packs;
  menus: Menus;
  recorder: Recorder;
  clock: Clock;
  started: Date;
  connected(): readonly { node: string }[];
  liveness(node: string): Liveness;
  troubles(node: string): Pick<NodeDetails, 'refusals' | 'duplicate'>;
  leases(): readonly object[];
  /** What is wrong with anything that is kept, a sentence each. */
  problems(): string[];
  ports(): Record<string, number>;
  stats(): Record<string, Record<string, number>>;
  gauges(): Record<string, Record<string, number>>;
}

export function readModelOf(sources: Sources): ReadModel {
  const { config, nodes, directory, admissions, table, disks, packs, menus, recorder } = sources;
  const connected = () => new Set(sources.connected().map(({ node }) => node));
  return {
    health: () => ({
      status: 'ok',
      cluster: config.cluster,
      started: sources.started.toISOString(),
      now: new Date(sources.clock.now()).toISOString(),
      nodes: { known: nodes.all.length, connected: sources.connected().length },
      ports: sources.ports(),
      problems: sources.problems(),
    }),
    nodes: () => {
      const present = connected();
      return nodes.all.map((node) => viewOf(node, directory.get(node.name), present.has(node.name)));
    },
    node: (name) => {
      const node = nodes.byName(name);
      return (
        node && {
          ...detailsOf(node, directory.get(name), connected().has(name), sources.liveness(name)),
          membership: membershipOf(admissions, name),
          ...sources.troubles(name),
        }
      );
    },
    resources: (name) => (nodes.byName(name) === undefined ? undefined : directory.inventories.of(name)),
    menus: (name) => {
      const node = nodes.byName(name);
      return node && menusOf(menus, node);
    },
    images: () => table.list(),
    bases: () =>
      Promise.all(
        disks
          .baseViews()
          .map(async (base) =>
            'size' in base ? { ...base, boot: (await packs.show(base.name)) ?? null } : base,
          ),
      ),
    disks: () => disks.views(),
    diskNames: () => disks.names(),
    disk: (name) => disks.show(name),
    leases: () => sources.leases(),
    events: (query) => recorder.events(query),
    boots: (who, last) => {
      const whom = recorder.whom(who);
      if (whom === undefined) return undefined;
      const history = recorder.history(whom);
      return {
        view: history.then((events) => ({
          who,
          node: whom.node ?? null,
          attempts: attemptsOf(events, sources.clock.now(), sources.started.getTime()).slice(-last),
        })),
        watch: (listener) =>
          recorder.watch((event) => {
            if (isAbout(event, whom)) listener(event);
          }),
      };
    },
    stats: () => sources.stats(),
    gauges: () => sources.gauges(),
    watch: (listener) => {
      recorder.watch(listener);
    },
  };
}

function viewOf(node: NodeConfig, record: NodeRecord | undefined, connected: boolean): NodeView {
  const [pointer, boot] = [record?.pointer ?? null, record?.boots.at(-1)];
  return {
    name: node.name,
    hostname: node.hostname,
    mac: node.mac ?? null,
    uid: node.uid ?? null,
    address: node.address ?? null,
    userConfig: node.userConfig ?? null,
    connected,
    lastHello: record?.at ?? null,
    bootedImage: record?.bootedImage ?? null,
    fallback: record?.fallback ?? null,
    pointer,
    waits: pointer !== null && boot !== undefined && boot.deployment !== pointer.deployment,
    lastStep: boot?.steps.at(-1) ?? null,
  };
}

function detailsOf(
  node: NodeConfig,
  record: NodeRecord | undefined,
  connected: boolean,
  liveness: Liveness,
): Omit<NodeDetails, 'membership' | 'refusals' | 'duplicate'> {
  return {
    ...viewOf(node, record, connected),
    liveness,
    joined: record === undefined ? null : joinedOf(record),
    reported: record === undefined ? null : { uid: record.uid, macs: record.macs, address: record.address },
    boots: record?.boots ?? [],
  };
}

function joinedOf({ at, address, by, deeds = [], defined }: NodeRecord): Joined {
  return { at, address, by: by ?? null, deeds, defined: defined ?? null };
}
