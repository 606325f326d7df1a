import { expect, test } from 'vitest';
import { metricsOf } from '../../imager/http/metrics.ts';
import type { RecordedEvent } from '../../imager/journal/event.ts';

/** Metrics that have seen these events, as text. */
async function exposition(events: Omit<RecordedEvent, 'id'>[]): Promise<string> {
  let take: (event: RecordedEvent) => void = () => {};
  const registry = metricsOf({
    stats: () => ({ tftp: { 'dropped.short': 3, 'odd "name"\\\n': 1 } }),
    gauges: () => ({ agent: { connections: 2 } }),
    health: () => ({
      ...{ status: 'ok', cluster: 'c', started: '', now: '', ports: {}, problems: [] },
      nodes: { known: 1, connected: 1 },
    }),
    watch: (listener) => {
      take = listener;
    },
  });
  for (const [i, event] of events.entries()) take({ id: i + 1, ...event });
  return registry.metrics();
}

interface Sample {
  labels: Record<string, string>;
  value: number;
}

/**
 * The text format of Prometheus, strictly: throws at the first line that breaks a rule. Numbers are as its parser, Go's
 * ParseFloat, takes them: NaN in any case.
 */
function parse(text: string): Map<string, { type: string; samples: (Sample & { name: string })[] }> {
  const families = new Map<string, { type: string; samples: (Sample & { name: string })[] }>();
  let current = '';
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (line === '' || (line.startsWith('#') && comment === null && !/^# (?!HELP|TYPE)/.test(line))) continue;
    if (comment !== null) {
      const [, kind, name, rest] = comment as unknown as [string, string, string, string];
      if (kind === 'HELP') {
        if (families.has(name)) throw new Error(`${name} comes twice`);
        current = name;
        families.set(name, { type: 'untyped', samples: [] });
      } else {
        if (name !== current || !/^(?:counter|gauge|histogram|summary)$/.test(rest)) throw new Error(line);
        families.get(name)!.type = rest;
      }
      continue;
    }
    const label = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"`;
    const sample = new RegExp(
      String.raw`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:${label}(?:,(?=[^}]))?)*)\})? ([-+]?(?:\d+(?:\.\d+)?(?:e[-+]?\d+)?|Inf)|[Nn]a[Nn])$`,
    ).exec(line);
    if (sample === null) throw new Error(`no sample: ${line}`);
    const [, name = '', labels = '', value] = sample;
    const family = families.get(current)!;
    const suffixes = family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    if (!suffixes.some((suffix) => name === `${current}${suffix}`) && family.type !== 'summary')
      throw new Error(`${name} stands under ${current}`);
    if (family.type === 'counter' && !name.endsWith('_total') && !/^(?:process|nodejs)_/.test(name))
      throw new Error(`counter ${name} is no _total`);
    const pairs = [...labels.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [
      key!,
      text!,
    ]);
    const made = { name, labels: Object.fromEntries(pairs), value: Number(value) };
    const key = JSON.stringify([name, made.labels]);
    if (family.samples.some((each) => JSON.stringify([each.name, each.labels]) === key))
      throw new Error(`twice: ${line}`);
    family.samples.push(made);
  }
  return families;
}

const NODE = { node: 'n1', mac: '52:54:00:00:00:01' };
const ROM = { arch: 0, vendorClass: 'PXEClient:Arch:00000' };
const boot = (from: number): Omit<RecordedEvent, 'id'>[] => [
  { at: from, component: 'dhcp', step: 'discover', ...NODE, detail: ROM },
  { at: from, component: 'dhcp', step: 'offer', ...NODE },
  { at: from + 100, component: 'dhcp', step: 'ack', ...NODE },
  { at: from + 200, component: 'tftp', step: 'transfer-start', ...NODE, detail: { file: 'k' } },
  {
    at: from + 900,
    component: 'tftp',
    step: 'transfer-end',
    ...NODE,
    detail: { file: 'k', bytes: 5000, resent: 2 },
  },
  { at: from + 4000, component: 'agent', step: 'hello', ...NODE },
  { at: from + 5500, component: 'nbd', step: 'attach', ...NODE },
  { at: from + 14_000, component: 'agent', step: 'ready', ...NODE },
];

test('what boots do, in the text format', async () => {
  const families = parse(
    await exposition([
      { at: 0, component: 'imager', step: 'power', ...NODE, detail: { action: 'on' } },
      ...boot(8000),
      ...boot(60_000),
      { at: 90_000, component: 'dhcp', step: 'nak', reason: 'wrong-network', mac: '66:66:66:66:66:66' },
      { at: 90_000, component: 'dhcp', step: 'discover', reason: 'unknown-client', mac: '66:66:66:66:66:66' },
      { at: 90_000, component: 'http', step: 'refused', reason: 'not-found', detail: { file: 'x' } },
      {
        at: 90_000,
        component: 'tftp',
        step: 'transfer-failed',
        reason: 'timeout',
        detail: { bytes: 10, resent: 4 },
      },
    ]),
  );
  const value = (name: string, labels: Record<string, string> = {}) =>
    [...families.values()]
      .flatMap(({ samples }) => samples)
      .find((each) => each.name === name && JSON.stringify(each.labels) === JSON.stringify(labels))?.value;
  expect(value('bootwright_dhcp_replies_total', { type: 'ack', reason: '' })).toBe(2);
  expect(value('bootwright_dhcp_replies_total', { type: 'nak', reason: 'wrong-network' })).toBe(1);
  expect(value('bootwright_dhcp_unanswered_total', { type: 'discover', reason: 'unknown-client' })).toBe(1);
  expect(value('bootwright_tftp_transfers_total', { result: 'done', reason: '' })).toBe(2);
  expect(value('bootwright_tftp_transfers_total', { result: 'failed', reason: 'timeout' })).toBe(1);
  expect(value('bootwright_tftp_bytes_total')).toBe(10_010);
  expect(value('bootwright_tftp_retransmissions_total')).toBe(8);
  expect(value('bootwright_http_transfers_total', { result: 'refused', reason: 'not-found' })).toBe(1);
  expect(value('bootwright_http_bytes_total')).toBe(0);
  expect(value('bootwright_boots_total', { reached: 'ready' })).toBe(2);
  expect(value('bootwright_server_total', { server: 'tftp', what: 'dropped.short' })).toBe(3);
  expect(value('bootwright_nodes_connected')).toBe(1);
  const seconds = (suffix: string, from: string, to: string) =>
    value(`bootwright_boot_seconds_${suffix}`, { from, to });
  expect(seconds('count', 'discover', 'ready')).toBe(2);
  expect(seconds('sum', 'discover', 'ready')).toBe(28);
  expect(seconds('sum', 'discover', 'kernel')).toBe(8);
  expect(seconds('sum', 'discover', 'disk')).toBe(11);
  expect(seconds('count', 'power', 'ready')).toBe(1);
  expect(seconds('sum', 'power', 'ready')).toBe(22);
  const bucket = (le: number) =>
    value('bootwright_boot_seconds_bucket', { le: String(le), from: 'discover', to: 'ready' });
  expect([bucket(12.5), bucket(15), bucket(17.5)]).toEqual([0, 2, 2]);
});

test('nothing from the network becomes a label', async () => {
  const events = Array.from({ length: 500 }, (_, i) => [
    {
      at: i,
      component: 'dhcp' as const,
      step: 'discover',
      mac: `02:00:00:00:00:${i % 256}`,
      detail: { vendorClass: `v${i}` },
    },
    { at: i, component: 'agent' as const, step: `step-${i}`, node: 'n1' },
    { at: i, component: 'tftp' as const, step: 'refused', reason: 'unknown-file', detail: { file: `f${i}` } },
  ]).flat();
  const before = (await exposition([])).split('\n').length;
  const after = (await exposition(events)).split('\n').length;
  expect(after - before).toBeLessThan(30);
});

test('asking for the size of a file first is counted as such', async () => {
  const declined = { component: 'tftp', step: 'transfer-failed', reason: 'declined' } as const;
  const text = await exposition([{ at: 1, ...declined }]);
  expect(text).toContain('bootwright_tftp_transfers_total{result="declined",reason="declined"} 1');
  expect(text).not.toContain('result="failed"');
});
