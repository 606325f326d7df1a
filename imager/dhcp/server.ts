/**
 * The DHCP server: sockets, time and stores around the codec and the decisions.
 *
 * Only a socket on 0.0.0.0 hears broadcasts, and it hears those of every interface: Node cannot bind a socket to one
 * interface (SO_BINDTODEVICE of socket(7)). Requests of clients on other interfaces are therefore taken for requests
 * of the nodes' network; the answers leave by the interface that has the server address. On a machine with several
 * networks keep the DHCP port of the others away from this server with a packet filter.
 */
import { createSocket, type Socket } from 'node:dgram';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import type { Clock } from '../journal/clock.ts';
import type { EventSink } from '../journal/event.ts';
import { Tally } from '../journal/tally.ts';
import type { Registry } from '../registry/registry.ts';
import { type DhcpMessage, decodeMessage, encodeMessage, senderOf } from './codec.ts';
import { type DhcpConfig, type Network, networkOf, type Reservations } from './config.ts';
import { type Decision, type Destination, decide, type Subject } from './decide.ts';
import { DhcpError } from './error.ts';
import type { LeaseView } from './lease.ts';
import { Leases } from './leases.ts';

const SERVER_PORT = 67;
const CLIENT_PORT = 68;
/** Bytes; the system may grant less. Racks are powered on at once, and a lost DISCOVER costs its client seconds. */
const RECEIVE_BUFFER = 4 * 1024 * 1024;

export interface DhcpServerOptions {
  config: DhcpConfig;
  reservations: Reservations;
  /** True while somebody is connected to the imager from `address`: it then stays with whose it was. */
  inUse(address: string): boolean;
  /** Leases are under ['lease', address]. Stays open when the server closes. */
  registry: Registry;
  sink: EventSink;
  clock: Clock;
  log: Logger;
  /** 67 and 68 by default. Server port 0: the system chooses. */
  ports?: { server: number; client: number };
  /** Where requests are received, 0.0.0.0 by default: only such a socket hears broadcasts. */
  listenAddress?: string;
  /** The system's by default. */
  interfaces?: () => NodeJS.Dict<NetworkInterfaceInfo[]>;
}

export class DhcpServer {
  /** The server port in use. */
  readonly port: number;
  readonly #options: DhcpServerOptions;
  readonly #network: Network;
  readonly #leases: Leases;
  readonly #sockets: readonly Socket[];
  readonly #transmit: Socket;
  readonly #tally: Tally;
  readonly #inFlight = new Set<Promise<void>>();

  /**
   * Starts a server. Rejects with RangeError where the configuration contradicts itself, and with the system's error
   * where a socket cannot be bound: EADDRNOTAVAIL while no interface has the server address, EADDRINUSE where another
   * server has the port.
   */
  static async start(options: DhcpServerOptions): Promise<DhcpServer> {
    const network = networkOf(options.config);
    const listenAddress = options.listenAddress ?? '0.0.0.0';
    const { serverAddress } = options.config;
    const port = options.ports?.server ?? SERVER_PORT;
    // The two sockets share the port, and would share it with those of another server as readily.
    if (port !== 0) await probe(port, serverAddress);
    const sockets: Socket[] = [];
    try {
      const receive = await bind(port, listenAddress);
      sockets.push(receive);
      // Linux routes 255.255.255.255 by the source address of a bound socket, so replies leave by the interface that
      // has the server address. Renewals, which are unicast, arrive on this more specific socket too.
      if (listenAddress !== serverAddress) sockets.push(await bind(receive.address().port, serverAddress));
      return new DhcpServer(options, network, sockets);
    } catch (error) {
      for (const socket of sockets) socket.close();
      throw error;
    }
  }

  private constructor(options: DhcpServerOptions, network: Network, sockets: Socket[]) {
    this.#options = options;
    this.#network = network;
    this.#sockets = sockets;
    this.#tally = new Tally(options.log);
    this.#transmit = sockets.at(-1)!;
    this.port = this.#transmit.address().port;
    this.#leases = new Leases(options.registry, (address) =>
      this.#notice('failed.lease-unreadable', { address }, 'a registry value is no lease and is left out'),
    );
    const others = otherInterfaces((options.interfaces ?? networkInterfaces)(), options.config.serverAddress);
    if (sockets.length > 1 && others.length > 0)
      options.log.warn(
        { interfaces: others },
        'dhcp: clients on these interfaces are heard too and would be taken for nodes: keep their requests away',
      );
    for (const socket of sockets) {
      socket.on('message', (bytes) => this.#receive(bytes));
      socket.on('error', (error) => this.#notice('failed.socket', { error }, 'socket error'));
    }
  }

  /**
   * Counts since the start: `received.STEP`, `sent.STEP`, `dropped.REASON` for each message without an answer,
   * `refused.REASON` for each NAK, `failed.WHAT`, `omitted.option` for options a reply had no room for, `ignored.option-CODE`
   * for malformed options of requests that were served without.
   */
  stats(): Record<string, number> {
    return this.#tally.stats();
  }

  /** All leases known, in the order of their addresses' text. */
  leases(): LeaseView[] {
    return this.#leases.view(this.#options.clock.now());
  }

  /** Stops receiving, finishes what was begun and resolves when the sockets are closed. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.removeAllListeners('message');
    await Promise.all(this.#inFlight);
    this.#leases.close();
    await Promise.all(
      this.#sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))),
    );
  }

  #receive(bytes: Uint8Array): void {
    try {
      const message = decodeMessage(bytes);
      const decision = decide(message, {
        config: this.#options.config,
        network: this.#network,
        reservations: this.#options.reservations,
        leases: this.#leases,
        now: this.#options.clock.now(),
        inUse: (address) => this.#options.inUse(address),
      });
      this.#perform(decision);
    } catch (error) {
      if (error instanceof DhcpError) {
        const mac = senderOf(bytes);
        this.#notice(`dropped.${error.fault}`, { why: error.message, mac }, 'malformed message dropped');
        if (mac !== undefined) this.#report({ mac }, 'dropped', { why: error.message }, error.fault);
      } else this.#notice('failed.internal', { error }, 'message not handled');
    }
  }

  #perform(decision: Decision): void {
    const { subject } = decision;
    if (subject.step !== undefined) this.#tally.count(`received.${subject.step}`);
    for (const code of subject.ignored)
      this.#notice(`ignored.option-${code}`, { mac: subject.mac }, 'malformed option ignored');
    if ('offer' in decision && decision.offer !== undefined) this.#leases.offer(decision.offer);
    if (decision.kind === 'silence') {
      this.#report(subject, subject.step ?? 'dropped', subject.detail, decision.reason);
      this.#notice(`dropped.${decision.reason}`, { mac: subject.mac }, 'message not answered');
      return;
    }
    this.#report(subject, subject.step ?? 'dropped', subject.detail);
    const work = this.#complete(decision).finally(() => this.#inFlight.delete(work));
    this.#inFlight.add(work);
  }

  /** The part that takes time: durable first, then the reply. Never rejects. */
  async #complete(decision: Exclude<Decision, { kind: 'silence' }>): Promise<void> {
    try {
      if (decision.changes.length > 0) await this.#leases.apply(decision.changes);
    } catch (error) {
      this.#notice('failed.registry', { error }, 'lease not stored, no reply sent');
      this.#report(decision.subject, decision.subject.step ?? 'dropped', {}, 'registry-failed');
      return;
    }
    if (decision.kind === 'quiet') return;
    try {
      await this.#send(decision.message, decision.to, decision.limit);
    } catch (error) {
      this.#notice('failed.send', { error, to: decision.to.address }, 'reply not sent');
      this.#report(decision.subject, decision.step, {}, 'send-failed');
      return;
    }
    this.#tally.count(`sent.${decision.step}`);
    if (decision.reason !== undefined)
      this.#notice(`refused.${decision.reason}`, { mac: decision.subject.mac }, 'request refused');
    this.#report(decision.subject, decision.step, decision.detail, decision.reason);
  }

  #send(message: DhcpMessage, to: Destination, limit: number): Promise<void> {
    const { bytes, omitted } = encodeMessage(message, limit);
    if (omitted.length > 0)
      this.#notice('omitted.option', { omitted, mac: message.mac }, 'no room for all options in a reply');
    const port = to.port === 'server' ? this.port : (this.#options.ports?.client ?? CLIENT_PORT);
    return new Promise((resolve, reject) =>
      this.#transmit.send(bytes, port, to.address, (error) => (error ? reject(error) : resolve())),
    );
  }

  #report(
    subject: Pick<Subject, 'mac'> & Partial<Subject>,
    step: string,
    detail: Record<string, string | number | boolean>,
    reason?: string,
  ): void {
    const { mac, address, node } = subject;
    this.#options.sink({
      at: this.#options.clock.now(),
      component: 'dhcp',
      step,
      mac,
      ...(address === undefined ? {} : { address }),
      ...(node === undefined ? {} : { node }),
      ...(reason === undefined ? {} : { reason }),
      ...(Object.keys(detail).length === 0 ? {} : { detail }),
    });
  }

  #notice(key: string, about: Record<string, unknown>, words: string): void {
    this.#tally.notice(key, about, `dhcp: ${words}`);
  }
}

/** Interfaces that are up with an IPv4 address and are neither loopback nor the one that has the server address. */
function otherInterfaces(interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>, serverAddress: string): string[] {
  return Object.entries(interfaces).flatMap(([name, all = []]) => {
    const found = all.filter(({ family, internal }) => family === 'IPv4' && !internal);
    const addresses = found.map(({ address }) => address);
    return found.length === 0 || addresses.includes(serverAddress)
      ? []
      : [`${name} (${addresses.join(', ')})`];
  });
}

/** Rejects with EADDRINUSE where anybody has the port at `address`, willing to share it or not. */
async function probe(port: number, address: string): Promise<void> {
  const socket = await bind(port, address, false);
  await new Promise<void>((resolve) => socket.close(() => resolve()));
}

/** A bound socket that may broadcast and shares its port with the server's other socket. */
function bind(port: number, address: string, reuseAddr = true): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr, recvBufferSize: RECEIVE_BUFFER });
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind(port, address, () => {
      socket.removeAllListeners('error');
      socket.setBroadcast(true);
      resolve(socket);
    });
  });
}
