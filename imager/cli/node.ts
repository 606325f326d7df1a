/** `imager node`: nodes as the imager knows them, flashing, power. */
import { Argument, type Command } from 'commander';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { fallbackWords } from '../model/fallback.ts';
import {
  type AdapterView,
  type Flashed,
  type Liveness,
  type NodeDetails,
  type NodeView,
  POWER_ACTIONS,
  type PowerAction,
  type Powered,
} from '../model/views.ts';
import { addBoots } from './boots.ts';
import { Context } from './context.ts';
import { addDefinition, membershipFields } from './definition.ts';
import { entryFields } from './entry.ts';
import { addNodeOutput } from './node-output.ts';
import { addResources } from './resources.ts';
import { fields, printable, table, time } from './table.ts';

export function addNode(program: Command): void {
  const node = program
    .command('node')
    .description('list, show, follow, define, flash and switch nodes')
    .addHelpText(
      'after',
      '\nExamples:\n  imager node list\n  imager node flash node1 --image debian-12 --disk node1-root',
    );
  node
    .command('list')
    .description('all nodes: where they are, what they booted, how far they came')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  imager node list\n  imager node list --json')
    .action(async (_options, command: Command) => {
      const context = new Context(command);
      context.print(await context.get<NodeView[]>('/api/nodes'), (nodes) =>
        table(
          ['name', 'address', 'agent', 'image', 'disks', 'phase', 'last step', 'last hello'],
          nodes.map(nodeRow),
        ),
      );
    });
  node
    .command('show')
    .description('one node: identity, boot pointer, the steps of its last boots')
    .argument('<name>', 'name of the node')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  imager node show node1\n  imager node show node1 --json')
    .action(async (name: string, _options, command: Command) => {
      const context = new Context(command);
      context.print(await context.get<NodeDetails>(`/api/nodes/${encodeURIComponent(name)}`), showNode);
    });
  addResources(node);
  addBoots(node);
  addDefinition(node);
  addNodeOutput(node);
  node
    .command('flash')
    .description('have a node write a new boot pointer; it counts from its next boot')
    .argument('<name>', 'name of the node')
    .requiredOption('--image <image>', 'boot image to boot')
    .requiredOption(
      '--disk <disk>',
      'disk to attach, the root disk first; repeat for more',
      (disk: string, disks: string[] = []) => [...disks, disk],
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Waits until the node has fetched the image and compared it with what this imager has signed, has written the pointer and read it
back. Its agent must be connected.

Examples:
  imager node flash node1 --image debian-12 --disk node1-root
  imager node flash node1 --image debian-12 --disk node1-root --disk node1-data && imager node power node1 cycle`,
    )
    .action(async (name: string, options: { image: string; disk: string[] }, command: Command) => {
      const context = new Context(command);
      const { image, disk: disks } = options;
      const path = `/control/nodes/${encodeURIComponent(name)}/flash`;
      context.print(await context.post<Flashed>(path, { image, disks }), showFlashed);
    });
  node
    .command('power')
    .description('reboot a node or switch it off, on, or off and on again')
    .argument('<name>', 'name of the node')
    .addArgument(new Argument('<action>', 'what to do').choices(POWER_ACTIONS))
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Goes through the node's agent where that is connected, else through the power commands of the configuration.
Only these can switch a node on. With the agent, cycle is a reboot.

Examples:
  imager node power node1 reboot
  imager node power node1 off`,
    )
    .action(async (name: string, action: PowerAction, _options, command: Command) => {
      const context = new Context(command);
      const path = `/control/nodes/${encodeURIComponent(name)}/power`;
      context.print(
        await context.post<Powered>(path, { action }),
        (done) =>
          `${done.node}: ${done.action} through the ${done.via === 'agent' ? 'agent' : 'power command'}`,
      );
    });
}

/** A node in the list. Where a flash waits for its next boot, what is of that is told as such. */
export function nodeRow(node: NodeView): string[] {
  const { pointer, waits } = node;
  const booted = node.fallback === null ? (node.bootedImage ?? '-') : `${node.bootedImage} (fallback)`;
  const [image, disks] = [pointer?.image ?? '-', pointer?.disks.join(',') ?? '-'];
  return [
    node.name,
    node.address ?? '-',
    node.connected ? 'connected' : '-',
    waits ? `${booted}, then ${image}` : booted,
    waits ? `then ${disks}` : disks,
    waits ? 'waits for a boot' : (pointer?.phase ?? '-'),
    node.lastStep?.step ?? '-',
    time(node.lastHello),
  ];
}

function showNode(node: NodeDetails): string {
  const head = fields([
    ['name', node.name],
    ['host name', node.hostname],
    ['MAC', node.mac ?? '-'],
    ['UID', node.uid ?? '-'],
    ['address', node.address ?? node.reported?.address ?? '-'],
    ['configuration', node.userConfig ?? '-'],
    ['agent', node.connected ? 'connected' : 'not connected'],
    ['last hello', time(node.lastHello)],
    ['heartbeats', heartbeatWords(node.liveness)],
    ...node.liveness.adapters.map((adapter) => [`adapter ${adapter.name}`, adapterWords(adapter)] as const),
    ...membershipFields(node.membership),
    ...entryFields(node),
    ['booted image', node.fallback === null ? (node.bootedImage ?? '-') : fallbackWords(node.fallback)],
    ...(node.pointer === null ? [['pointer', '-'] as const] : pointerFields(node.pointer)),
    ...(node.waits ? [['waits', 'this pointer counts from the next boot'] as const] : []),
  ]);
  const boots = node.boots.map((boot) =>
    [
      `boot ${printable(boot.bootId)} of ${printable(boot.image)}, ${time(boot.at)}`,
      table(
        ['  uptime', 'step', 'detail'],
        boot.steps.map(({ uptime, step, detail }) => [
          `  ${uptime.toFixed(3)}`,
          step,
          Object.entries(detail)
            .map(([key, value]) => `${key}=${value}`)
            .join(' '),
        ]),
      ),
    ].join('\n'),
  );
  return [head, ...boots].join('\n\n');
}

function heartbeatWords({ state, heardAt }: Liveness): string {
  return state === 'unheard' ? 'none since this imager started' : `${state}, last heard ${time(heardAt)}`;
}

function adapterWords({ state, was, address, mac, speed, roundTrip, errors, at }: AdapterView): string {
  return [
    was === undefined ? state : `${state}: ${was} when last heard, ${time(at)}`,
    ...[address ?? 'no address', printable(mac)],
    ...(speed === null ? [] : [`${speed} Mbit/s`]),
    ...(roundTrip === null ? [] : [`${roundTrip.toFixed(1)} ms to the imager and back`]),
    ...(errors === 0 ? [] : [`${errors} errors`]),
  ].join(', ');
}

/** One field of a boot pointer a line. */
export function pointerFields(pointer: BootPointer): (readonly [string, string])[] {
  return [
    ['sequence', String(pointer.sequence)],
    ['image', pointer.image],
    ['disks', pointer.disks.join(',')],
    ['imagers', pointer.imagers.join(',')],
    ['cluster', pointer.cluster],
    ['deployment', pointer.deployment],
    ['phase', pointer.phase],
    ['attempts', String(pointer.attempts)],
    ['fallback', pointer.fallback],
  ];
}

function showFlashed({ node, old, pointer, verified }: Flashed): string {
  const before = new Map(old === null ? [] : pointerFields(old));
  const lines = pointerFields(pointer).map(
    ([name, value]) => [name, `${before.get(name) || '-'} -> ${value || '-'}`] as const,
  );
  const image = verified
    ? 'image verified by the node'
    : 'image not verified: the node has no key to check with';
  return `${node}: boot pointer written and read back, ${image}\n${fields(lines)}`;
}
