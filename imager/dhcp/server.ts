/** The DHCP server: time and stores around the codec and the decisions. */
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import type { Clock } from '../journal/clock.ts';
import type { EventSink } from '../journal/event.ts';
import { Tally } from '../journal/tally.ts';
import type { Registry } from '../registry/registry.ts';
import { decodeMessage, encodeMessage, senderOf } from './codec.ts';
import { type DhcpConfig, type Network, networkOf, type Reservations } from './config.ts';
import { type Decision, decide, type Subject } from './decide.ts';
import { DhcpError } from './error.ts';
import type { LeaseView } from './lease.ts';
import { Leases } from './leases.ts';
import { DhcpSockets, otherInterfaces } from './sockets.ts';

const SERVER_PORT = 67;
const CLIENT_PORT = 68;

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
  readonly #sockets: DhcpSockets;
  readonly #tally: Tally;

  /**
   * Starts a server. Rejects with RangeError where the configuration contradicts itself, and with the system's error
   * where a socket cannot be bound: EADDRNOTAVAIL while no interface has the server address, EADDRINUSE where another
   * server has the port.
   */
  static async start(options: DhcpServerOptions): Promise<DhcpServer> {
    const network = networkOf(options.config);
    const sockets = await DhcpSockets.open({
      port: options.ports?.server ?? SERVER_PORT,
      serverAddress: options.config.serverAddress,
      listenAddress: options.listenAddress ?? '0.0.0.0',
    });
    return new DhcpServer(options, network, sockets);
  }

  private constructor(options: DhcpServerOptions, network: Network, sockets: DhcpSockets) {
    this.#options = options;
    this.#network = network;
    this.#sockets = sockets;
    this.#tally = new Tally(options.log);
    this.port = sockets.port;
    this.#leases = new Leases(options.registry, (address) =>
      this.#notice('failed.lease-unreadable', { address }, 'a registry value is no lease and is left out'),
    );
    const others = otherInterfaces((options.interfaces ?? networkInterfaces)(), options.config.serverAddress);
    if (sockets.hearsAll && others.length > 0)
      options.log.warn(
        { interfaces: others },
        'dhcp: clients on these interfaces are heard too and would be taken for nodes: keep their requests away',
      );
    sockets.listen(
      (bytes) => this.#receive(bytes),
      (error) => this.#notice('failed.socket', { error }, 'socket error'),
    );
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
    this.#sockets.stopListening();
    await this.#leases.close();
    await this.#sockets.close();
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
    if (decision.changes.length > 0) this.#store(decision);
    else if (decision.kind === 'reply') this.#reply(decision);
  }

  /** The part that takes time: durable first, then the reply. */
  #store(decision: Exclude<Decision, { kind: 'silence' | 'probe' }>): void {
    this.#leases.apply(decision.changes).then(
      () => {
        if (decision.kind === 'reply') this.#reply(decision);
      },
      (error) => {
        this.#notice('failed.registry', { error }, 'lease not stored, no reply sent');
        this.#report(decision.subject, decision.subject.step ?? 'dropped', {}, 'registry-failed');
      },
    );
  }

  #reply({ subject, step, message, to, limit, detail, reason }: Extract<Decision, { kind: 'reply' }>): void {
    const { bytes, omitted } = encodeMessage(message, limit);
    if (omitted.length > 0)
      this.#notice('omitted.option', { omitted, mac: message.mac }, 'no room for all options in a reply');
    const port = to.port === 'server' ? this.port : (this.#options.ports?.client ?? CLIENT_PORT);
    this.#sockets.send(bytes, port, to.address, (error) => {
      if (error !== null) {
        this.#notice('failed.send', { error, to: to.address }, 'reply not sent');
        this.#report(subject, step, {}, 'send-failed');
        return;
      }
      this.#tally.count(`sent.${step}`);
      if (reason !== undefined) this.#notice(`refused.${reason}`, { mac: subject.mac }, 'request refused');
      this.#report(subject, step, detail, reason);
    });
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
