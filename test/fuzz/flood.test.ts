/** A node boots while the imager is flooded with garbage: what counts is served, what does not is counted and said once. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Cluster, IMAGER } from '../support/cluster.ts';
import { bundle, startInside } from '../support/inside.ts';

/** Packets a second; `make proofs` sends 10,000. */
const RATE = Number(process.env.BOOTWRIGHT_FUZZ_RATE ?? 3000);
const SEED = Number(process.env.BOOTWRIGHT_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** The boot takes three seconds on an idle machine without a flood. */
const READY_MS = 300_000;
/** The imager starts with 100 MB or so. */
const MOST_RESIDENT = 400 * 2 ** 20;

let cluster: Cluster;
beforeAll(async () => {
  const pools = { pool: { from: '10.77.0.100', to: '10.77.0.149' } };
  const userConfig = { secondReboot: false, scripts: [] };
  cluster = await Cluster.open({ rig: 'x86', nodes: ['n1'], images: ['alpha'], userConfig, network: pools });
}, 300_000);
afterAll(() => cluster?.close());

it(`a node gets ready in ${RATE} packets of garbage a second`, { timeout: READY_MS + 60_000 }, async () => {
  const node = cluster.nodes[0]!;
  const flood = await startInside(cluster.lab.space, await bundle('test/fuzz/flood.ts'), [
    IMAGER,
    String(SEED),
    String(RATE),
  ]);
  await node.powerOn();
  await node.waitForStep('ready', { withinMs: READY_MS });
  const { detail } = node.events().at(-1)!;
  const sent =
    flood
      .output()
      .match(/^sent \d+ \d+$/gm)
      ?.at(-1)
      ?.split(' ') ?? [];
  const [packets, ms] = [Number(sent[1]), Number(sent[2])];
  const metrics = await cluster.get(`http://${IMAGER}/metrics`);
  const counts = countsIn(metrics);
  const resident = Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)?.[1]);
  console.log(
    `seed ${SEED}: ready after ${String(detail?.seconds)} s; ${packets} packets in ${ms} ms, ${Math.round((1000 * packets) / ms)} a second; ` +
      `imager ${(resident / 2 ** 20).toFixed(0)} MB; ${JSON.stringify(counts)}`,
  );

  expect(packets).toBeGreaterThan(0);
  expect(resident).toBeLessThan(MOST_RESIDENT);
  for (const dropped of [
    'dhcp dropped.cookie',
    'dhcp dropped.option-truncated',
    'tftp dropped.opcode',
    'tftp dropped.mode',
    'http dropped.malformed',
  ])
    expect(counts[dropped], dropped).toBeGreaterThan(0);
  const reasons = reasonsIn(cluster.imager.log());
  expect(reasons.length).toBeGreaterThan(20);
  expect(reasons.filter((reason, at) => reasons.indexOf(reason) !== at)).toEqual([]);
  expect(Object.keys(counts).filter((what) => what.endsWith('failed.internal'))).toEqual([]);
});

/** What the servers count, as `SERVER WHAT`. */
function countsIn(metrics: string): Record<string, number> {
  const found = metrics.matchAll(/^bootwright_server_total\{server="([^"]*)",what="([^"]*)"\} (\d+)$/gm);
  return Object.fromEntries(
    [...found].map(([, server, what, count]) => [`${server} ${what}`, Number(count)]),
  );
}

/** What the log says was dropped, refused or failed: which server, which reason. */
function reasonsIn(log: string): string[] {
  return log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { key?: string; room?: string })
    .filter(({ key }) => key !== undefined)
    .map(({ key, room }) => `${room} ${key}`);
}
