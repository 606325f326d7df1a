/** The DHCP servers of the benchmark, each on a wire of its own with a client, its leases in a folder on disk. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { NetworkNamespace } from '../../firmware-stubs/rig/namespace.ts';
import { LabClient } from '../dhcp/lab.ts';
import { bundle, startInside } from '../support/inside.ts';
import { unpackedPeer } from './peers.ts';

const SERVER = '10.80.0.1';
const CLIENT = '10.80.0.2';
const POOL = { from: '10.80.1.0', to: '10.80.128.255' };
const LEASE_SECONDS = 3600;
/** As many clients as perfdhcp plays. */
const CLIENTS = 10_000;

/** A bridge with the server's address and a client's namespace on it. */
export class Wire {
  readonly #space: NetworkNamespace;
  readonly #client: LabClient;
  /** The program that measures first offers. */
  #relay: string | undefined;

  private constructor(space: NetworkNamespace, client: LabClient) {
    this.#space = space;
    this.#client = client;
  }

  static async open(): Promise<Wire> {
    const space = await NetworkNamespace.open();
    const script = [
      'ip link add br0 type bridge stp_state 0 forward_delay 0',
      `ip addr add ${SERVER}/16 dev br0`,
      'ip link set br0 up',
    ];
    await space.check(['sh', '-ec', script.join('\n')]);
    const client = await LabClient.open(space, 'peer', '52:54:00:80:00:02', { bridge: 'br0' });
    await client.run(`ip addr add ${CLIENT}/16 dev eth0`);
    return new Wire(space, client);
  }

  /** Ours, leases in LMDB: synced before the ACK leaves. */
  async ours(folder: string): Promise<void> {
    const program = await bundle('test/bench/dhcp-serve.ts');
    await startInside(this.#space, program, [SERVER, '16', POOL.from, POOL.to, folder]);
  }

  /** dnsmasq, told `more`. It writes its whole lease file anew after each change and does not wait for the disk. */
  dnsmasq(folder: string, ...more: string[]): Promise<void> {
    return this.#serve([
      ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--pid-file=', '--user=root'],
      ...['--port=0', '--interface=br0', '--bind-interfaces', '--quiet-dhcp', '--log-facility=/dev/null'],
      ...[`--dhcp-range=${POOL.from},${POOL.to},255.255.0.0,${LEASE_SECONDS}`, '--dhcp-lease-max=100000'],
      ...['--dhcp-authoritative', `--dhcp-leasefile=${join(folder, 'leases')}`, ...more],
    ]);
  }

  /** Kea with its lease file, as Debian configures it. It appends to it and does not wait for the disk. */
  async kea(folder: string): Promise<void> {
    const program = join(await unpackedPeer('kea-dhcp4-server'), 'usr/sbin/kea-dhcp4');
    const config = {
      Dhcp4: {
        'interfaces-config': { interfaces: ['br0'], 'dhcp-socket-type': 'udp' },
        'lease-database': { type: 'memfile', persist: true, name: join(folder, 'leases.csv') },
        'valid-lifetime': LEASE_SECONDS,
        subnet4: [{ subnet: '10.80.0.0/16', pools: [{ pool: `${POOL.from} - ${POOL.to}` }] }],
        loggers: [{ name: 'kea-dhcp4', severity: 'ERROR', output_options: [{ output: 'stderr' }] }],
      },
    };
    const file = join(folder, 'kea.json');
    writeFileSync(file, JSON.stringify(config));
    await this.#serve([
      ...['env', `KEA_PIDFILE_DIR=${folder}`, `KEA_LOCKFILE_DIR=${folder}`, program, '-c', file],
    ]);
  }

  /** Four-way exchanges completed a second where perfdhcp begins `rate` of them for `seconds`. */
  async completed(rate: number, seconds: number): Promise<number> {
    // What is under way at the end has three tenths of a second. In one thread, since with two of them perfdhcp takes more
    // of two cores than any server, and it is itself that is measured.
    const acks = await this.#perfdhcp(`-g single -r ${rate} -R ${CLIENTS} -p ${seconds} -W 300000`);
    return acks / seconds;
  }

  /** Milliseconds from DISCOVER to OFFER of so many clients that are new, one after the other, after `before` others. */
  async firstOffers(count: number, before: number): Promise<number[]> {
    this.#relay ??= await bundle('test/bench/dhcp-first-offer.ts');
    const output = await this.#client.run(
      `timeout 60 ${process.execPath} ${this.#relay} ${CLIENT} ${SERVER} ${count} ${before}`,
    );
    return JSON.parse(output) as number[];
  }

  close(): Promise<void> {
    return this.#space.close();
  }

  /** Messages received in the last half of the exchanges: ACKs, or OFFERs with -i. */
  async #perfdhcp(options: string): Promise<number> {
    let output = '';
    // In rare runs under overload it never ends: such a run says nothing of the server.
    for (let tries = 0; tries < 3; tries++) {
      output = await this.#client.run(`timeout -s KILL 20 perfdhcp -4 ${options} ${SERVER}`);
      const received = [...output.matchAll(/^received packets: (\d+)$/gm)].at(-1)?.[1];
      if (received !== undefined) return Number(received);
    }
    throw new Error(`perfdhcp without figures:\n${output}`);
  }

  /** Starts a program that does not say when it is ready: it is once it answers. */
  async #serve(argv: readonly string[]): Promise<void> {
    const child = this.#space.spawn(argv, { stdio: ['ignore', 'ignore', 'inherit'] });
    for (let tries = 0; tries < 100 && child.exitCode === null; tries++) {
      if ((await this.#perfdhcp('-i -n 3 -r 20 -b mac=02:00:00:00:00:01')) > 0) return;
      await setTimeout(50);
    }
    throw new Error(`${argv.join(' ')} does not answer`);
  }
}
