/** `imager node resources`: what a node consists of, and what last changed of it. */
import type { Command } from 'commander';
import { fieldsText } from '../../agent/protocol/resources.ts';
import { diffLines, type Inventory, type ResourcesView } from '../model/inventory.ts';
import { Context } from './context.ts';
import { printable, table, time } from './table.ts';

export function addResources(node: Command): void {
  node
    .command('resources')
    .description('what a node consists of, as its agent found it when it last joined')
    .argument('<name>', 'name of the node')
    .option('--diff', 'what last changed of it')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
The agent looks for adapters, disks, memory, processors, firmware, pointer stores, PCI and USB devices at each join, and
the imager keeps what it was before the last change.

Examples:
  imager node resources node1
  imager node resources node1 --diff`,
    )
    .action(async (name: string, { diff }: { diff?: boolean }, command: Command) => {
      const context = new Context(command);
      const view = await context.get<ResourcesView>(`/api/nodes/${encodeURIComponent(name)}/resources`);
      if (diff === true)
        context.print({ node: view.node, ...boundsOf(view), diff: view.diff }, () => diffText(view));
      else context.print(view, resourcesText);
    });
}

function boundsOf({ last, previous }: ResourcesView): { from: number | null; to: number | null } {
  return { from: previous?.seen ?? null, to: last?.since ?? null };
}

function resourcesText({ node, last }: ResourcesView): string {
  if (last === null) return toldNothing(node);
  return [
    `${node}: seen ${time(last.seen)}, so since ${time(last.since)}`,
    table(
      ['kind', 'key', 'fields'],
      last.resources.map(({ kind, key, fields }) => [kind, key, fieldsText(fields)]),
    ),
    ...faultLines(last),
  ].join('\n');
}

function diffText({ node, last, previous, diff }: ResourcesView): string {
  if (last === null) return toldNothing(node);
  if (previous === null || diff === null) return `${node}: nothing has changed since ${time(last.since)}`;
  return [
    `${node}: from ${time(previous.seen)} to ${time(last.since)}`,
    ...diffLines(diff).map((line) => `  ${printable(line)}`),
  ].join('\n');
}

function faultLines({ faults }: Inventory): string[] {
  return faults.map(({ where, why }) => `not read: ${printable(where)}: ${printable(why)}`);
}

function toldNothing(node: string): string {
  return `${node}: its agent has told nothing yet`;
}
