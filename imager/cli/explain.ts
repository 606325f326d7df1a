/** `imager pxe explain`: why a node did not boot, from the journal or from a capture. */
import { existsSync, readFileSync, type Stats, statSync } from 'node:fs';
import type { Command } from 'commander';
import { type Explanation, explainCapture, explainJournal, type Surroundings } from '../explain/explain.ts';
import type { Finding } from '../explain/finding.ts';
import { CaptureError } from '../explain/frame.ts';
import { findingText } from '../explain/timeline.ts';
import { generatedFile } from '../images/generated.ts';
import { type BootImage, filesOf } from '../images/image.ts';
import { installedIpxe } from '../images/tree.ts';
import type { BootsView } from '../journal/attempts.ts';
import { UNWRITTEN } from '../journal/journal.ts';
import type { NodeMenus } from '../menus/views.ts';
import type { Health } from '../model/views.ts';
import { Context } from './context.ts';
import { VerbError } from './failure.ts';
import { table, time } from './table.ts';

/** A capture is read as a whole. */
const MAX_CAPTURE = 512 * 1024 * 1024;

/** Adds the verb to the group `pxe`. */
export function addExplain(pxe: Command): void {
  pxe
    .command('explain')
    .description('say why a node did not boot: how far it came, what is wrong, what to do')
    .argument(
      '<node|mac|capture>',
      'name of a node, MAC or address of anybody, or a capture file (pcap, pcapng)',
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
The first line names the cause. A node's last boot is explained from the imager's journal; where nothing was ever heard of it,
that is said, and no failure; a name that is no node's is one (exit code 1). A capture needs no imager:
take it on the node's link with "tcpdump -i eth0 -w boot.pcap" while the node boots.

Examples:
  imager pxe explain node1
  imager pxe explain 52:54:00:77:00:11
  imager pxe explain boot.pcap`,
    )
    .action(async (target: string, _options, command: Command) => {
      const context = new Context(command);
      const there = existsSync(target) ? statSync(target) : undefined;
      if (there?.isFile()) printCapture(context, target);
      // A folder called like a node does not hide it.
      else if (CAPTURE_NAME.test(target) || there?.isDirectory() === false)
        throw new VerbError(`${target} is ${whatElse(there)}`);
      else await printNode(context, target);
    });
}

/** No node, MAC or address is called so. */
const CAPTURE_NAME = /\/|^\.\.?$|\.p?cap(?:ng)?$/;

function whatElse(there: Stats | undefined): string {
  if (there === undefined) return 'no file';
  return there.isDirectory() ? 'a folder, no capture file' : 'no capture file';
}

/** `node`: its name, where the configuration has it. `problems`: the imager's own. */
function unheardOf(node: string | null, problems: readonly string[]): Finding {
  const unwritten = problems.filter((problem) => problem.startsWith(UNWRITTEN));
  if (unwritten.length > 0)
    return {
      cause: 'nothing is known of it: the imager cannot write its boot journal',
      evidence: unwritten,
      advice: ['make room where the imager keeps its state, then have it boot again'],
    };
  return {
    cause: 'nothing was ever heard of it',
    evidence: [],
    advice: [
      'is it on, with network boot first in its firmware, and its link in the network of this imager or of a relay agent?',
      `or it has another MAC than the configuration says: "imager node show ${node ?? 'NODE'}" has the one, its firmware shows the other`,
    ],
  };
}

async function printNode(context: Context, name: string): Promise<void> {
  const { who, node, attempts } = await context.get<BootsView>(
    `/api/boots/${encodeURIComponent(name)}?last=3`,
  );
  const { now, known } = await surroundings(context, node);
  const explanation = explainJournal(
    attempts.flatMap(({ events }) => events),
    {
      who: node ?? who,
      imager: context.config.network.address,
      now,
      known,
    },
  );
  if (explanation === undefined)
    context.print(
      { who: node ?? who, startedAt: null, ...unheardOf(node, known.problems ?? []), course: [] },
      (unheard) => findingText(unheard.who, unheard).join('\n'),
    );
  else context.print(explanation, explanationText);
}

/** What time it is for the imager, and what there is to be had from it, for `node` and for everybody. */
async function surroundings(
  context: Context,
  node: string | null,
): Promise<{ now: number; known: Surroundings }> {
  const [images, health, menus] = await Promise.all([
    context.get<BootImage[]>('/api/images'),
    context.get<Health>('/health'),
    node === null ? undefined : context.get<NodeMenus>(`/api/nodes/${encodeURIComponent(node)}/menus`),
  ]);
  const made = menus?.files.filter(({ error }) => error === null).flatMap(({ paths }) => paths) ?? [];
  return {
    now: Date.parse(health.now),
    known: {
      files: [...images.flatMap(filesServedOf), ...made, ...Object.keys(installedIpxe())],
      images: images.map((image) => image.name),
      problems: health.problems,
      started: Date.parse(health.started),
    },
  };
}

function filesServedOf(image: BootImage): string[] {
  const made = ['boot.ipxe', 'manifest.env', 'nbi.0'].filter(
    (name) => generatedFile(image, name) !== undefined,
  );
  return [...filesOf(image).map(([name]) => name), ...made].map((name) => `images/${image.name}/${name}`);
}

function printCapture(context: Context, path: string): void {
  const { clients, fault } = explain(path);
  if (fault !== undefined) context.progress(`${path}: ${fault}`);
  if (clients.length === 0)
    throw new VerbError(`${path}: no DHCP, TFTP or HTTP request is in it: capture on the link of the node`);
  context.print(clients, (all) => {
    const causes = all.length > 1 ? [...all.map(({ who, cause }) => `${who}: ${cause}`), ''] : [];
    return [...causes, all.map(explanationText).join('\n\n')].join('\n');
  });
}

function explain(path: string): ReturnType<typeof explainCapture> {
  if (statSync(path).size > MAX_CAPTURE)
    throw new VerbError(
      `${path} has more than ${MAX_CAPTURE / 1024 ** 2} MiB: cut it to one node first (tcpdump -r ${path} -w small.pcap ether host MAC)`,
    );
  try {
    return explainCapture(readFileSync(path));
  } catch (error) {
    throw error instanceof CaptureError ? new VerbError(`${path}: ${error.message}`) : error;
  }
}

function explanationText(explanation: Explanation): string {
  const { who, startedAt, nextAt, course } = explanation;
  const packets = course.some(({ packet }) => packet !== undefined);
  const rows = course.map(({ seconds, who: by, what, packet }) => [
    `  ${seconds.toFixed(3)}`,
    ...(packets ? [String(packet ?? '')] : []),
    by,
    what,
  ]);
  const title = nextAt === undefined ? who : `${who}, the boot before the one of ${time(nextAt)}`;
  return [
    ...findingText(title, explanation),
    '',
    `how far it came, from ${time(startedAt)}:`,
    table(['  seconds', ...(packets ? ['packet'] : []), 'who', 'what'], rows),
  ].join('\n');
}
