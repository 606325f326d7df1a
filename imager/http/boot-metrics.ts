/**
 * Metrics of what boots do, from their events as they come. Labels are words of this program alone: no names, addresses or
 * files, and nothing that a node could choose.
 */
import { Counter, Histogram, type Registry } from 'prom-client';
import { BootSplitter, markOfEvent, type Phase } from '../journal/attempts.ts';
import type { BootEvent, RecordedEvent } from '../journal/event.ts';

/** A healthy boot takes about 15 seconds: fine around that, coarse beyond. */
const SECONDS = [1, 2, 3, 5, 7.5, 10, 12.5, 15, 17.5, 20, 25, 30, 45, 60, 120, 300, 600];

/** Phases as the labels have them: the agent's first word is what shows that the kernel runs. */
const REACHED: Partial<Record<Phase, string>> = {
  dhcp: 'dhcp',
  files: 'files',
  agent: 'kernel',
  disk: 'disk',
  ready: 'ready',
};

interface Boot {
  splitter: BootSplitter;
  power: number | undefined;
  discover: number | undefined;
  reached: Set<string>;
}

/** Registers the metrics; gives what takes each event. */
export function bootMetrics(registry: Registry): (event: RecordedEvent) => void {
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name, help, labelNames, registers });
  const replies = counter('bootwright_dhcp_replies_total', 'DHCP replies; reason of NAKs.', [
    'type',
    'reason',
  ]);
  const silences = counter(
    'bootwright_dhcp_unanswered_total',
    'DHCP messages without an answer, by reason.',
    ['type', 'reason'],
  );
  const transfers = {
    tftp: counter('bootwright_tftp_transfers_total', 'TFTP requests by result and reason.', [
      'result',
      'reason',
    ]),
    http: counter('bootwright_http_transfers_total', 'Boot files asked for over HTTP by result and reason.', [
      'result',
      'reason',
    ]),
  };
  const bytes = {
    tftp: counter('bootwright_tftp_bytes_total', 'Bytes of files that TFTP clients acknowledged.'),
    http: counter('bootwright_http_bytes_total', 'Bytes of boot files sent over HTTP.'),
  };
  const resent = counter('bootwright_tftp_retransmissions_total', 'TFTP blocks sent more than once.');
  const boots = counter('bootwright_boots_total', 'Boots of known nodes by what they reached.', ['reached']);
  const seconds = new Histogram({
    name: 'bootwright_boot_seconds',
    help: 'Seconds from the first DISCOVER, or from the imager switching power on, to the agent in the kernel, to the disk, to ready.',
    labelNames: ['from', 'to'],
    buckets: SECONDS,
    registers,
  });
  const byNode = new Map<string, Boot>();

  const dhcp = ({ step, reason = '' }: BootEvent) => {
    if (step === 'offer' || step === 'ack' || step === 'nak') replies.inc({ type: step, reason });
    else if (reason !== '') silences.inc({ type: step, reason });
  };
  const transfer = (protocol: 'tftp' | 'http', { step, reason = '', detail = {} }: BootEvent) => {
    if (step === 'transfer-start') return;
    const ended = { 'transfer-end': 'done', 'transfer-failed': 'failed', refused: 'refused' }[step];
    // UEFI asks for a file's size this way before it loads the file: nothing has failed.
    const result = ended === 'failed' && reason === 'declined' ? 'declined' : ended;
    if (result === undefined) return;
    transfers[protocol].inc({ result, reason });
    bytes[protocol].inc(Number(detail.bytes ?? 0));
    if (protocol === 'tftp') resent.inc(Number(detail.resent ?? 0));
  };
  const boot = (event: RecordedEvent, node: string) => {
    const mark = markOfEvent(event);
    const known = byNode.get(node);
    const splitter = known?.splitter ?? new BootSplitter();
    const begins = splitter.begins(mark);
    const state =
      known === undefined || begins
        ? { splitter, power: undefined, discover: undefined, reached: new Set<string>() }
        : known;
    byNode.set(node, state);
    if (mark.power === true) state.power = mark.at;
    if (mark.program !== undefined) state.discover ??= mark.at;
    const reached = REACHED[mark.phase ?? 'power'];
    // What ran before this imager started, and what goes on after ready, is no boot that was seen.
    if (reached === undefined || state.reached.has(reached) || state.discover === undefined) return;
    state.reached.add(reached);
    boots.inc({ reached });
    if (reached === 'dhcp' || reached === 'files') return;
    for (const [from, at] of [['discover', state.discover] as const, ['power', state.power] as const])
      if (at !== undefined) seconds.observe({ from, to: reached }, (mark.at - at) / 1000);
  };
  return (event) => {
    if (event.component === 'dhcp') dhcp(event);
    if (event.component === 'tftp' || event.component === 'http') transfer(event.component, event);
    if (event.node !== undefined) boot(event, event.node);
  };
}
