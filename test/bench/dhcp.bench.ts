/**
 * DHCP: four-way exchanges a second with 10,000 clients (perfdhcp of Kea, as a relay agent), and the time to the first
 * OFFER, against dnsmasq and Kea. All keep their leases on disk; ours alone has them synced when the ACK leaves. Each
 * has a wire of its own and is idle while another is measured. Ratios above 1: ours is better.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Wire } from './dhcp-servers.ts';
import { type BenchRow, median } from './row.ts';

const PAIRS = 9;
/** Of exchanges, each of whose turns is three runs. */
const EXCHANGE_PAIRS = 7;
const SECONDS = 2;
/** Exchanges begun a second: as coarse steps, then as factors of the best of those. */
const COARSE = [300, 600, 1200, 2400, 4800, 9600, 19_200];
const FINE = [0.71, 0.84, 1.19, 1.41];
/** The same in each turn: one look at each rate does not tell for sure which is best. */
const AROUND = [0.84, 1, 1.19];

interface Contender {
  name: string;
  wire: Wire;
}

/** Runs all comparisons; takes about six minutes. */
export async function run(): Promise<BenchRow[]> {
  const build = resolve('build');
  mkdirSync(build, { recursive: true });
  // Beside the project, since the folder for temporary files may be in memory.
  const folder = mkdtempSync(join(build, 'dhcp-bench-'));
  const wires: Wire[] = [];
  const enter = async (
    name: string,
    start: (wire: Wire, folder: string) => Promise<void>,
  ): Promise<Contender> => {
    const wire = await Wire.open();
    wires.push(wire);
    const own = join(folder, `${wires.length}`);
    mkdirSync(own);
    await start(wire, own);
    return { name, wire };
  };
  try {
    const ours = await enter('bootwright', (wire, own) => wire.ours(own));
    const quick = await enter('dnsmasq --no-ping', (wire, own) => wire.dnsmasq(own, '--no-ping'));
    const shipped = await enter('dnsmasq', (wire, own) => wire.dnsmasq(own));
    const kea = await enter('Kea', (wire, own) => wire.kea(own));
    const best = new Map<Contender, number>();
    for (const each of [ours, quick, kea]) best.set(each, await bestRate(each.wire));
    const rows: BenchRow[] = [];
    for (const peer of [quick, kea]) rows.push(await exchanges(ours, peer, best));
    // The ping check takes seconds: one client a turn will do.
    rows.push(await firstOffer(ours, shipped, 3, 1, 0));
    for (const peer of [quick, kea]) rows.push(await firstOffer(ours, peer, PAIRS, 100, 100));
    return rows;
  } finally {
    for (const wire of wires) await wire.close();
    rmSync(folder, { recursive: true });
  }
}

/** The rate of exchanges begun at which most are completed. */
async function bestRate(wire: Wire): Promise<number> {
  const completed = new Map<number, number>();
  const best = () => [...completed].sort((a, b) => b[1] - a[1])[0]![0];
  for (const rate of COARSE) {
    completed.set(rate, await wire.completed(rate, SECONDS));
    // Far past it: more would only fill queues.
    if (best() * 2 < rate) break;
  }
  const around = best();
  for (const factor of FINE) {
    const rate = Math.round(around * factor);
    completed.set(rate, await wire.completed(rate, SECONDS));
  }
  return best();
}

async function exchanges(
  ours: Contender,
  peer: Contender,
  rates: ReadonlyMap<Contender, number>,
): Promise<BenchRow> {
  const measure = async (each: Contender) => {
    const completed: number[] = [];
    for (const factor of AROUND)
      completed.push(await each.wire.completed(Math.round(rates.get(each)! * factor), SECONDS));
    return Math.max(...completed);
  };
  const row = await inPairs(ours, peer, EXCHANGE_PAIRS, measure, (mine, others) => mine / others);
  return { name: 'dhcp, four-way exchanges, 10,000 clients', unit: 'exchanges/s', ...row };
}

async function firstOffer(
  ours: Contender,
  peer: Contender,
  pairs: number,
  clients: number,
  before: number,
): Promise<BenchRow> {
  const measure = async ({ wire }: Contender) => median(await wire.firstOffers(clients, before));
  const row = await inPairs(ours, peer, pairs, measure, (mine, others) => others / mine);
  return { name: 'dhcp, DISCOVER to first OFFER', unit: 'ms', ...row };
}

/** Measures both in turn, each first half of the time. */
async function inPairs(
  ours: Contender,
  peer: Contender,
  count: number,
  measure: (contender: Contender) => Promise<number>,
  ratio: (mine: number, others: number) => number,
): Promise<Pick<BenchRow, 'ours' | 'peer' | 'peerName' | 'ratio'>> {
  const pairs: [mine: number, others: number][] = [];
  for (let pair = 0; pair < count; pair++) {
    const oursFirst = pair % 2 === 0;
    const first = await measure(oursFirst ? ours : peer);
    const second = await measure(oursFirst ? peer : ours);
    pairs.push(oursFirst ? [first, second] : [second, first]);
  }
  return {
    ours: round(median(pairs.map(([mine]) => mine))),
    peer: round(median(pairs.map(([, others]) => others))),
    peerName: peer.name,
    ratio: round(median(pairs.map(([mine, others]) => ratio(mine, others)))),
  };
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
