/**
 * The node's network adapters as sysfs shows them (Documentation/ABI/testing/sysfs-class-net), and whether the imager can be
 * reached out of each: a datagram leaves by that adapter alone, whatever the routes say.
 */
import {
  type Adapter,
  encodeProbe,
  type Heartbeat,
  isAnswerTo,
  MAX_ROUND_TRIP_MS,
  NONCE_SIZE,
} from '../protocol/heartbeat.ts';
import type { Host } from './host.ts';
import type { ImagerAddress } from './imager-address.ts';

const NET = '/sys/class/net';
/** ARPHRD_ETHER (linux/if_arp.h). */
const ETHERNET = '1';
const MAX_ADAPTERS = 16;
/** A path is down when none of these came back in time. */
const PROBES = 3;
const PROBE_MS = 500;

interface Counters {
  received: { packets: number; errors: number };
  sent: { packets: number; errors: number };
}

type Path = Pick<Adapter, 'path' | 'roundTrip'>;
const UNTRIED: Path = { path: 'untried', roundTrip: null };
const DOWN: Path = { path: 'down', roundTrip: null };

export class Adapters {
  readonly #host: Host;
  #before = new Map<string, Counters>();
  readonly #paths = new Map<string, Path>();
  readonly #trying = new Set<string>();

  constructor(host: Host) {
    this.#host = host;
  }

  /**
   * How the adapters are, counted since the last call, with what the last probes said of their paths to `imager`; begins the next
   * ones. Nothing is waited for: a node whose paths are all cut is alive.
   */
  heartbeat(imager: ImagerAddress): Heartbeat {
    const names = this.#names();
    const before = this.#before;
    for (const name of this.#paths.keys()) if (!names.includes(name)) this.#paths.delete(name);
    this.#before = new Map(names.map((name) => [name, this.#counters(name)]));
    return { type: 'heartbeat', adapters: names.map((name) => this.#look(name, before.get(name), imager)) };
  }

  #names(): string[] {
    if (!this.#host.exists(NET)) return [];
    const ethernet = (name: string) => this.#text(name, 'type') === ETHERNET;
    return this.#host.list(NET).filter(ethernet).slice(0, MAX_ADAPTERS);
  }

  #look(name: string, before: Counters | undefined, imager: ImagerAddress): Adapter {
    const now = this.#before.get(name)!;
    const address = this.#host.addressOf(name) ?? null;
    const carrier = this.#text(name, 'carrier') === '1';
    const speed = Number(this.#text(name, 'speed') || -1);
    const tried = carrier && address !== null;
    const { path, roundTrip } = (tried ? this.#paths.get(name) : undefined) ?? UNTRIED;
    if (tried) void this.#try(name, imager);
    else this.#paths.delete(name);
    return {
      ...{ name, address, carrier, mac: this.#text(name, 'address').slice(0, 32) },
      operstate: this.#text(name, 'operstate').slice(0, 16),
      speed: Number.isInteger(speed) && speed > 0 ? speed : null,
      received: since(before?.received, now.received),
      sent: since(before?.sent, now.sent),
      ...{ path, roundTrip },
    };
  }

  /** Probes an adapter's path, unless that is under way. */
  async #try(name: string, imager: ImagerAddress): Promise<void> {
    if (this.#trying.has(name)) return;
    this.#trying.add(name);
    const roundTrip = await this.#probe(name, imager);
    this.#trying.delete(name);
    this.#paths.set(name, roundTrip === undefined ? DOWN : { path: 'up', roundTrip });
  }

  /** Milliseconds to the imager and back, more where the machine slept meanwhile; undefined where nothing comes back. */
  async #probe(name: string, { address, port }: ImagerAddress): Promise<number | undefined> {
    for (let attempt = 0; attempt < PROBES; attempt++) {
      const nonce = Uint8Array.from({ length: NONCE_SIZE }, () => Math.floor(this.#host.random() * 256));
      const began = this.#host.uptime();
      try {
        const answer = await this.#host.ask(name, address, port, encodeProbe(nonce), PROBE_MS);
        if (answer !== undefined && isAnswerTo(nonce, answer))
          return Math.min(Math.round((this.#host.uptime() - began) * 1e6) / 1000, MAX_ROUND_TRIP_MS);
      } catch {
        // Nobody there, no route, no such adapter any more: tried again like a datagram that was lost.
        await this.#host.sleep(PROBE_MS);
      }
    }
    return undefined;
  }

  #counters(name: string): Counters {
    const read = (file: string) => Number(this.#text(name, `statistics/${file}`)) || 0;
    return {
      received: { packets: read('rx_packets'), errors: read('rx_errors') },
      sent: { packets: read('tx_packets'), errors: read('tx_errors') },
    };
  }

  /** '' where there is no such file, and where the kernel has no value: EINVAL of an adapter that is down. */
  #text(name: string, file: string): string {
    try {
      return new TextDecoder().decode(this.#host.readFile(`${NET}/${name}/${file}`)).trim();
    } catch {
      return '';
    }
  }
}

/** What was counted in between: from nought on where the adapter is new or its driver began anew. */
function since(
  before: { packets: number; errors: number } | undefined,
  now: { packets: number; errors: number },
) {
  const difference = (key: 'packets' | 'errors') =>
    before === undefined || before[key] > now[key] ? now[key] : now[key] - before[key];
  return { packets: difference('packets'), errors: difference('errors') };
}
