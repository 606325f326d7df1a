/** The DHCP server: time and stores around the codec and the decisions. */
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import type { Clock } from '../journal/clock.ts';
import type { BootEvent, EventSink } from '../journal/event.ts';
import { Tally } from '../journal/tally.ts';
import type { Registry } from '../registry/registry.ts';
import { interfaceOf } from '../udp/native.ts';
import { decideBootServer, PXE_PORT, type Sender } from './boot-server.ts';
import { type DhcpMessage, encodeMessage } from './codec.ts';
import type { DhcpConfig, Reservations } from './config.ts';
import { decide } from './decide.ts';
import { type Decision, RECEIVED, SENT, type Subject } from './decision.ts';
import { Intake } from './intake.ts';
import type { LeaseView } from './lease.ts';
import { Leases } from './leases.ts';
import { type Networks, networksOf } from './networks.ts';
import { readIdentity } from './options/client.ts';
import { type Ask, askOnWire, Probes } from './probes.ts';
import { decideProxy } from './proxy.ts';
import { DhcpSockets, otherInterfaces } from './sockets.ts';
import { warmUp } from './warm-up.ts';
import { reservationOf, type World } from './world.ts';

const SERVER_PORT = 67;
const CLIENT_PORT = 68;
/** Addresses asked after for one DISCOVER. Its client asks again. */
const MAX_PROBES = 4;

export interface DhcpServerOptions {
  config: DhcpConfig;
  /** `server` by default. `proxy`: somebody else gives addresses, this one says what to boot (proxy.ts). */
  mode?: 'server' | 'proxy';
  reservations: Reservations;
  /** True while somebody is connected to the imager from `address`: it then stays with whose it was. */
  inUse(address: string): boolean;
  /** Leases are under ['lease', address]. Stays open when the server closes. */
  registry: Registry;
  sink: EventSink;
  clock: Clock;
  log: Logger;
  /** How it is found out whether somebody uses an address, where the configuration has probes: ping by default. */
  ask?: Ask;
  /** 67, 68 and 4011 by default. Server and boot server port 0: the system chooses. */
  ports?: { server: number; client: number; bootServer?: number };
  /** Where requests are received, 0.0.0.0 by default: only such a socket hears broadcasts. */
  listenAddress?: string;
  /** The system's by default. */
  interfaces?: () => NodeJS.Dict<NetworkInterfaceInfo[]>;
}

export class DhcpServer {
  /** The server port in use. */
  readonly port: number;
  /** The boot server port, where it is open: a proxy's, and a server's that has menus. */
  readonly bootServerPort: number | undefined;
  readonly #options: DhcpServerOptions;
  readonly #leases: Leases;
  readonly #sockets: DhcpSockets;
  /** Where firmware that has its address asks what to load. */
  readonly #bootServer: DhcpSockets | undefined;
  #closing = false;
  readonly #tally: Tally;
  readonly #snapshot: World;
  readonly #probes: Probes;
  readonly #intake = new Intake({
    handle: (message, sender) => this.#handle(message, 0, sender),
    isNodes: (message) =>
      reservationOf(message.mac, readIdentity(message.options), this.#world()) !== undefined,
    dropped: (reason, mac, why) => this.#drop(reason, mac, why),
    failed: (error) => this.#notice('failed.internal', { error }, 'message not handled'),
  });
  /** Messages that wait for a probe. */
  readonly #waiting = new Set<Promise<void>>();

  /**
   * Starts a server. Rejects with RangeError where the configuration contradicts itself, and with the system's error
   * where a socket cannot be bound: EADDRNOTAVAIL while no interface has the server address, EADDRINUSE where another
   * server has the port.
   */
  static async start(options: DhcpServerOptions): Promise<DhcpServer> {
    const networks = networksOf(
      options.config,
      (reserved) => options.reservations.byAddress(reserved) !== undefined,
    );
    // Or the first client would wait for it. Those of subnets, which may be many, are worked out when they are needed.
    if (options.mode !== 'proxy') networks.own.pool();
    const { serverAddress, menu } = options.config;
    const interfaces = (options.interfaces ?? networkInterfaces)();
    const listenAddress = options.listenAddress ?? '0.0.0.0';
    const device = interfaceOf(serverAddress);
    const opened: DhcpSockets[] = [];
    const open = async (port: number) => {
      const sockets = await DhcpSockets.open({ port, serverAddress, listenAddress, device });
      opened.push(sockets);
      return sockets;
    };
    try {
      const sockets = await open(options.ports?.server ?? SERVER_PORT);
      const bootServer =
        options.mode === 'proxy' || menu !== undefined
          ? await open(options.ports?.bootServer ?? PXE_PORT)
          : undefined;
      return new DhcpServer(options, networks, interfaces, sockets, bootServer);
    } catch (error) {
      await Promise.all(opened.map((each) => each.close()));
      throw error;
    }
  }

  private constructor(
    options: DhcpServerOptions,
    networks: Networks,
    interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>,
    sockets: DhcpSockets,
    bootServer: DhcpSockets | undefined,
  ) {
    this.#options = options;
    this.#sockets = sockets;
    this.#bootServer = bootServer;
    this.#tally = new Tally(options.log);
    this.#probes = new Probes(options.ask ?? askOnWire, options.clock, (error) =>
      this.#notice('failed.probe', { error }, 'cannot ask whether an address is in use'),
    );
    this.port = sockets.port;
    this.bootServerPort = bootServer?.port;
    this.#leases = new Leases(options.registry, (address) =>
      this.#notice('failed.lease-unreadable', { address }, 'a registry value is no lease and is left out'),
    );
    this.#snapshot = {
      config: options.config,
      networks,
      reservations: options.reservations,
      leases: this.#leases,
      now: options.clock.now(),
      inUse: (address) => options.inUse(address),
      probed: (address) => this.#probes.result(address),
    };
    const others = otherInterfaces(interfaces, options.config.serverAddress);
    if (sockets.hearsAll && others.length > 0)
      options.log.warn(
        { interfaces: others },
        'dhcp: clients on these interfaces are heard too and would be taken for nodes: keep their requests away',
      );
    warmUp((message) => this.#decide(message, this.#world(), undefined));
    const failed = (error: Error) => this.#notice('failed.socket', { error }, 'socket error');
    sockets.listen({ receive: (bytes) => this.#intake.take(bytes), failed });
    bootServer?.listen({
      receive: (bytes, address, port) => this.#intake.take(bytes, { address, port }),
      failed,
    });
  }

  /**
   * Counts since the start: `received.STEP`, `sent.STEP`, `dropped.REASON` for each message without an answer
   * (`receive-queue`: the kernel had no room for it), `refused.REASON` for each NAK, `probed.WHAT` for each address asked
   * after, `failed.WHAT`, `omitted.option` for options a reply had no room for, `ignored.option-CODE` for malformed
   * options of requests that were served without.
   */
  stats(): Record<string, number> {
    const drops = this.#sockets.drops() + (this.#bootServer?.drops() ?? 0);
    return { ...(drops === 0 ? {} : { 'dropped.receive-queue': drops }), ...this.#tally.stats() };
  }

  /** All leases known, in the order of their addresses' text. */
  leases(): LeaseView[] {
    return this.#leases.view(this.#options.clock.now());
  }

  /** Stops receiving, finishes what was begun and resolves when the sockets are closed. */
  async close(): Promise<void> {
    this.#sockets.stopListening();
    this.#bootServer?.stopListening();
    this.#intake.clear();
    this.#closing = true;
    await Promise.all(this.#waiting);
    await this.#leases.close();
    await this.#sockets.close();
    await this.#bootServer?.close();
  }

  /** A message that is not to be answered at all, whoever sent it. */
  #drop(reason: string, mac: string | undefined, why?: string): void {
    const words =
      why === undefined ? 'strangers ask faster than they are answered' : 'malformed message dropped';
    this.#notice(`dropped.${reason}`, { why, mac }, words);
    if (why !== undefined && mac !== undefined) this.#report({ mac }, 'dropped', { why }, reason);
  }

  /** The world as it is now: one object, since it is needed for every message. */
  #world(): World {
    this.#snapshot.now = this.#options.clock.now();
    return this.#snapshot;
  }

  /** `probes`: how many addresses have been asked after for this message. */
  #handle(message: DhcpMessage, probes: number, sender?: Sender): void {
    const world = this.#world();
    const decision = this.#decide(message, world, sender);
    const { subject } = decision;
    if (probes === 0) {
      if (subject.step !== undefined) this.#tally.count(RECEIVED[subject.step]);
      for (const code of subject.ignored)
        this.#notice(`ignored.option-${code}`, { mac: subject.mac }, 'malformed option ignored');
    }
    if (decision.kind !== 'probe') this.#perform(decision);
    else if (probes < MAX_PROBES) this.#probe(decision, message, probes);
    else this.#perform({ kind: 'silence', subject, reason: 'address-answers' });
  }

  #decide(message: DhcpMessage, world: World, sender: Sender | undefined): Decision {
    if (this.#options.mode === 'proxy') return decideProxy(message, world, sender);
    return sender === undefined ? decide(message, world) : decideBootServer(message, world, sender, () => []);
  }

  #probe(
    { address, offer, subject }: Extract<Decision, { kind: 'probe' }>,
    message: DhcpMessage,
    probes: number,
  ) {
    this.#leases.offer(offer);
    const asked = this.#probes.ask(address);
    if (asked === undefined) {
      this.#perform({ kind: 'silence', subject, reason: 'probing' });
      return;
    }
    const work = asked
      .then(() => {
        const reason = this.#probes.result(address) === 'answers' ? 'address-answers' : undefined;
        this.#tally.count(`probed.${reason ?? 'silent'}`);
        this.#report(subject, 'probe', {}, reason);
        // What this asks after next would not be waited for.
        if (!this.#closing) this.#handle(message, probes + 1);
      })
      .catch((error) => this.#notice('failed.internal', { error }, 'message not handled'))
      .finally(() => this.#waiting.delete(work));
    this.#waiting.add(work);
  }

  #perform(decision: Exclude<Decision, { kind: 'probe' }>): void {
    const { subject } = decision;
    if ('offer' in decision && decision.offer !== undefined) this.#leases.offer(decision.offer);
    if (decision.kind === 'silence') {
      // A proxy hears everybody's operating systems: those are counted, not told.
      if (decision.reason !== 'no-boot-firmware' || subject.node !== undefined)
        this.#report(subject, subject.step ?? 'dropped', subject.detail, decision.reason);
      this.#notice(`dropped.${decision.reason}`, { mac: subject.mac }, 'message not answered');
      return;
    }
    const heard = decision.kind === 'quiet' ? decision.reason : undefined;
    this.#report(subject, subject.step ?? 'dropped', subject.detail, heard);
    if (decision.changes.length > 0) this.#store(decision);
    else if (decision.kind === 'reply') this.#reply(decision);
  }

  /** The part that takes time: durable first, then the reply. */
  #store(decision: Exclude<Decision, { kind: 'silence' | 'probe' }>): void {
    this.#leases
      .apply(decision.changes)
      .then(
        () => {
          if (decision.kind === 'reply') this.#reply(decision);
        },
        (error) => {
          this.#notice('failed.registry', { error }, 'lease not stored, no reply sent');
          this.#report(decision.subject, decision.subject.step ?? 'dropped', {}, 'registry-failed');
        },
      )
      .catch((error) => this.#notice('failed.internal', { error }, 'message not handled'));
  }

  #reply({ subject, step, message, to, limit, detail, reason }: Extract<Decision, { kind: 'reply' }>): void {
    const { bytes, omitted } = encodeMessage(message, limit);
    if (omitted.length > 0)
      this.#notice('omitted.option', { omitted, mac: message.mac }, 'no room for all options in a reply');
    const named = { server: this.port, client: this.#options.ports?.client ?? CLIENT_PORT };
    const [sockets, port] =
      typeof to.port === 'string' ? [this.#sockets, named[to.port]] : [this.#bootServer!, to.port];
    sockets.send(bytes, port, to.address, (error) => {
      if (error !== null) {
        this.#notice('failed.send', { error, to: to.address }, 'reply not sent');
        this.#report(subject, step, {}, 'send-failed');
        return;
      }
      this.#tally.count(SENT[step]);
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
    const event: BootEvent = { at: this.#options.clock.now(), component: 'dhcp', step, mac };
    if (address !== undefined) event.address = address;
    if (node !== undefined) event.node = node;
    if (reason !== undefined) event.reason = reason;
    for (const _ in detail) {
      event.detail = detail;
      break;
    }
    this.#options.sink(event);
  }

  #notice(key: string, about: Record<string, unknown>, words: string): void {
    this.#tally.notice(key, about, `dhcp: ${words}`);
  }
}
