/** What happened in a boot as lines: seconds, who, what. Pure. */
import type { RecordedEvent } from '../journal/event.ts';
import { type Finding, fileWords, serverWords, times } from './finding.ts';
import type { Observation, Transfer } from './observation.ts';
import type { Story } from './story.ts';

export interface Row {
  /** Since the first packet. */
  seconds: number;
  who: string;
  what: string;
  /** Where to look in a capture. */
  packet?: number;
}

/** Lines a boot has at most; in longer ones the middle is left out. */
const MAX_ROWS = 60;

/** Facts for rules and machines, which say little to people or are too long for a line. */
const NOT_SHOWN: readonly string[] = ['asked', 'subnet', 'vendorClass', 'deployment', 'bootId', 'port'];

/** The course of a story. */
export function observationRows(story: Story): Row[] {
  const rows = story.boot.map((each) => ({
    seconds: Math.round(each.at - story.startedAt) / 1000,
    ...rowOf(each, story.who),
    ...(each.packet === undefined ? {} : { packet: each.packet }),
  }));
  if (rows.length <= MAX_ROWS) return rows;
  const half = MAX_ROWS / 2;
  const left = { seconds: rows[half]!.seconds, who: '...', what: `${rows.length - MAX_ROWS} more` };
  return [...rows.slice(0, half), left, ...rows.slice(-half)];
}

/** An observation in a line: who, and what. */
export function rowOf(each: Observation, who: string): { who: string; what: string } {
  switch (each.kind) {
    case 'ask':
      return { who, what: [each.type.toUpperCase(), ...askDetail(each)].join(', ') };
    case 'answer':
      return {
        who: each.server,
        what: [
          each.type.toUpperCase(),
          ...(each.address === undefined ? [] : [each.address]),
          ...(each.menu === undefined ? [] : [`menu of ${times(each.menu, 'item')}`]),
          ...(each.item === undefined ? [] : [`item ${each.item}`]),
          ...(each.file === undefined ? [] : [`boot file ${each.file} from ${each.nextServer}`]),
          ...(each.reason === undefined ? [] : [each.reason]),
          ...(each.noFile === undefined ? [] : [each.noFile]),
        ].join(', '),
      };
    case 'transfer':
      return { who, what: transferWords(each) };
    case 'arp':
      return {
        who,
        what: `ARP for ${each.target}${each.answered ? '' : `, ${each.requests} x without an answer`}`,
      };
    case 'unreachable':
      return { who: each.by, what: `ICMP unreachable, code ${each.code}: ${each.to} port ${each.port}` };
    case 'cut':
      return { who, what: `a packet of which the capture kept ${each.kept} bytes` };
    case 'agent':
    case 'disk':
      return {
        who: each.kind,
        what: [each.step, ...(each.reason === undefined ? [] : [each.reason])].join(': '),
      };
    case 'power':
      return { who: 'imager', what: `power ${each.action}` };
  }
}

function askDetail({ options, server, item, unanswered }: Extract<Observation, { kind: 'ask' }>): string[] {
  return [
    ...(options.arch === undefined ? [] : [`arch ${options.arch}`]),
    ...(options.userClass === undefined ? [] : [options.userClass]),
    ...(server === undefined ? [] : [`of ${server}`]),
    ...(item === undefined ? [] : [`item ${item}`]),
    ...(unanswered === undefined ? [] : [`not answered: ${unanswered}`]),
  ];
}

function transferWords(transfer: Transfer): string {
  const { end, requests, bytes, size, code, reason } = transfer;
  const ends: Record<Transfer['end'], string> = {
    done: `${bytes} bytes`,
    open: `${bytes} of ${size ?? '?'} bytes so far`,
    broken: `broken off at byte ${bytes} of ${size ?? '?'}`,
    unanswered: `asked ${requests} x, no answer`,
    waiting: `asked ${requests} x, not answered yet${reason ? ` (${reason})` : ''}`,
    declined: `ended by the node${reason ? ` (${reason})` : ''}`,
    refused: `refused${code === undefined ? '' : ` with ${code}`}${reason ? ` (${reason})` : ''}`,
  };
  return `${fileWords(transfer)} from ${serverWords(transfer)}: ${ends[end]}`;
}

/** An event of the journal as a line. */
export function eventRow(event: RecordedEvent, startedAt: number): Row {
  const { component, step, reason, detail = {}, address } = event;
  const facts = Object.entries(detail)
    .filter(([name]) => !NOT_SHOWN.includes(name))
    .map(
      ([name, value]) =>
        `${name}=${typeof value === 'number' ? Math.round(value * 1000) / 1000 : name === 'file' ? value || '/' : value}`,
    );
  return {
    seconds: (event.at - startedAt) / 1000,
    who: component,
    what: [
      step,
      ...(component === 'dhcp' && address !== undefined ? [address] : []),
      ...(reason === undefined ? [] : [`(${reason})`]),
      ...facts,
    ].join(' '),
  };
}

/** The finding as text; its first line names the cause. */
export function findingText(who: string, { cause, evidence, advice }: Finding): string[] {
  return [
    `${who}: ${cause}`,
    ...(evidence.length === 0 ? [] : ['', 'seen:', ...evidence.map((each) => `  - ${each}`)]),
    ...(advice.length === 0 ? [] : ['', 'what to do:', ...advice.map((each) => `  - ${each}`)]),
  ];
}
