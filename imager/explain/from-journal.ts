/** The imager's events -> observations. */
import { isEnd, optionsOf } from '../journal/attempts.ts';
import type { RecordedEvent } from '../journal/event.ts';
import { isTransferEnd, OpenTransfers } from '../journal/open-transfers.ts';
import { hostOf } from './dhcp-observation.ts';
import type { Answer, Ask, AskType, NodeWord, Observation, Transfer } from './observation.ts';
import { typeText } from './pxe-menu.ts';

const ASKS: readonly string[] = ['discover', 'request', 'decline', 'release', 'inform', 'bootp'];
const ANSWERS: readonly string[] = ['offer', 'ack', 'nak'];
/** What the servers' reasons are on the wire. */
const CODES: Record<string, number> = {
  'unknown-file': 1,
  access: 2,
  mode: 4,
  write: 2,
  option: 8,
  'not-found': 404,
  unreadable: 500,
};
/** Reasons of `refused` that are no answer: there is no place yet, and the client asks again. */
const WAITING: readonly string[] = ['too-many-transfers', 'too-many-per-client'];
const DECLINED: readonly string[] = ['client-error', 'declined', 'superseded'];

/**
 * Observations of one node, `events` oldest first. `imager`: the address of the imager whose journal it is; `started`: when
 * that began to run, in milliseconds, for a transfer from before has no end in the journal.
 */
export function observeJournal(
  events: readonly RecordedEvent[],
  imager: string,
  started = Number.NEGATIVE_INFINITY,
): Observation[] {
  const observations: Observation[] = [];
  const open = new OpenTransfers<Transfer>();
  /** The last of each file. */
  const latest = new Map<string, Transfer>();
  /** The network the node asks from, which goes with each request alone. */
  let subnet: string | undefined;
  for (const event of events) {
    const { at, component, step, reason, detail = {} } = event;
    if (isEnd(event)) {
      if (component === 'agent' && reason !== 'replaced') leaves(observations, at);
      continue;
    }
    switch (component) {
      case 'dhcp':
        subnet = text(detail.subnet) ?? subnet;
        observations.push(dhcp(event, imager, subnet));
        break;
      case 'tftp':
      case 'http': {
        if (isTransferEnd(event)) {
          const ended = open.end(event);
          // One that began in another history is of another boot, or of whoever had the address then.
          if (ended !== undefined) end(ended, event);
          break;
        }
        // What a request has behind the slash it begins with.
        const file = detail.file === '' ? '/' : (text(detail.file) ?? '');
        const key = `${component} ${file}`;
        const last = latest.get(key);
        const waits = last?.end === 'waiting' && step !== 'transfer-start';
        const hasNoPlace = WAITING.includes(reason ?? '');
        if (hasNoPlace && last?.end === 'open') break;
        const transfer = waits ? last : transferOf(event, file, imager);
        if (!waits) observations.push(transfer);
        latest.set(key, transfer);
        if (step === 'transfer-start') open.begin(event, transfer);
        else if (!hasNoPlace) end(transfer, event);
        else if (waits) asksAgain(transfer, event);
        else wait(transfer, event);
        break;
      }
      case 'agent':
      case 'nbd':
        observations.push({
          kind: component === 'agent' ? 'agent' : 'disk',
          at,
          step,
          detail,
          ...(reason === undefined ? {} : { reason }),
        });
        break;
      case 'imager':
        if (step === 'power') observations.push({ kind: 'power', at, action: text(detail.action) ?? '' });
        break;
    }
  }
  for (const transfer of open.all())
    if (transfer.lastAt < started) {
      transfer.end = 'broken';
      transfer.reason = 'the imager ended in the middle of it';
    }
  return observations;
}

function leaves(observations: readonly Observation[], at: number): void {
  const word = observations.findLast((each): each is NodeWord => each.kind === 'agent');
  if (word !== undefined) word.leftAt = at;
}

function dhcp(event: RecordedEvent, imager: string, subnet: string | undefined): Ask | Answer {
  const { at, step, reason, address, mac = '', detail = {} } = event;
  const given = address === undefined ? {} : { address };
  const item = typeof detail.item === 'number' ? typeText(detail.item) : text(detail.item);
  if (ANSWERS.includes(step)) {
    const [router, file] = [text(detail.router), text(detail.file)];
    const noFile = text(detail.why);
    const nextServer = file === undefined ? undefined : (hostOf(file) ?? text(detail.server) ?? imager);
    return {
      kind: 'answer',
      at,
      type: step as 'offer' | 'ack' | 'nak',
      mac,
      server: imager,
      ...given,
      ...(subnet === undefined ? {} : { subnet }),
      ...(router === undefined ? {} : { router }),
      ...(file === undefined ? {} : { file }),
      ...(nextServer === undefined ? {} : { nextServer }),
      ...(noFile === undefined ? {} : { noFile }),
      ...(typeof detail.menu === 'number' ? { menu: detail.menu } : {}),
      ...(item === undefined ? {} : { item }),
      ...(reason === undefined ? {} : { reason: reason.replaceAll('-', ' ') }),
    };
  }
  const type = ASKS.includes(step) ? (step as AskType) : 'discover';
  // A server that gives addresses knows whom it was passed over for, a boot server beside it who gives them.
  const chosen = text(detail.chosen) ?? text(detail.server);
  const why = text(detail.why);
  return {
    kind: 'ask',
    at,
    type,
    mac,
    options: optionsOf(event),
    asked: (text(detail.asked) ?? '').split(/[ ,]+/).filter(Boolean).map(Number),
    ...given,
    ...(chosen === undefined ? {} : { server: chosen }),
    ...(item === undefined ? {} : { item }),
    ...(reason === undefined ? {} : { unanswered: reason }),
    ...(why === undefined ? {} : { why }),
  };
}

function transferOf({ at, component, detail = {} }: RecordedEvent, file: string, server: string): Transfer {
  return {
    kind: 'transfer',
    at,
    protocol: component === 'http' ? 'http' : 'tftp',
    file,
    server,
    port: component === 'http' ? 80 : 69,
    end: 'open',
    requests: 1,
    lastAt: at,
    bytes: 0,
    ...(typeof detail.size === 'number' ? { size: detail.size } : {}),
  };
}

function wait(transfer: Transfer, { reason }: RecordedEvent): void {
  transfer.end = 'waiting';
  const whose = reason === 'too-many-per-client' ? ' of this client' : '';
  transfer.reason = `too many transfers${whose} at once`;
}

function asksAgain(transfer: Transfer, { at }: RecordedEvent): void {
  transfer.requests++;
  transfer.lastAt = at;
}

function end(transfer: Transfer, { at, step, reason = '', detail = {} }: RecordedEvent): void {
  transfer.lastAt = at;
  if (typeof detail.bytes === 'number') transfer.bytes = detail.bytes;
  transfer.reason = text(detail.message) ?? text(detail.why) ?? reason;
  const code = CODES[reason];
  // Of a file that was read in part no more was wanted so far.
  if (step === 'transfer-end') {
    transfer.end = typeof detail.of === 'number' ? 'declined' : 'done';
    if (transfer.end === 'declined') transfer.reason = `asked for ${transfer.bytes} of ${detail.of} bytes`;
  } else if (step === 'refused') {
    transfer.end = 'refused';
    if (code !== undefined) transfer.code = code;
    // All of it had been sent when the client fell silent: loaders start what they have without another word.
  } else if (reason === 'no-final-ack') transfer.end = 'done';
  else transfer.end = DECLINED.includes(reason) ? 'declined' : 'broken';
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
