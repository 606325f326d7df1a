/** Frames -> observations, by client. */
import { AGENT_PORT } from '../../agent/protocol/messages.ts';
import { type DhcpMessage, decodeMessage } from '../dhcp/codec.ts';
import { DhcpError } from '../dhcp/error.ts';
import { answerOf, askOf } from './dhcp-observation.ts';
import type { Frame } from './frame.ts';
import { HttpTransfers } from './http-transfers.ts';
import type { ArpQuestion, Observation } from './observation.ts';
import { type ArpPacket, PacketReader, type TcpPacket, type UdpPacket } from './packet.ts';
import { TftpTransfers } from './tftp-transfers.ts';

/** One client of a capture with what was seen of it, in the order of time. */
export interface CapturedClient {
  /** Its MAC, or its address where no DHCP told that. */
  who: string;
  observations: Observation[];
}

/** 67 and 68 (RFC 2131 section 4.1), 4011 (PXE specification 2.1, section 2.2). */
const DHCP_PORTS = [67, 68, 4011];
const NBD_PORT = 10_809;
/** Clients followed; a capture of a whole data centre is cut to one node first. */
const MAX_CLIENTS = 1000;
/** The same message seen twice on its way, on a bridge or around a relay agent. */
const TWICE_MS = 200;

/** Clients that asked for an address or a file, in the order of their first packets. */
export function observeCapture(frames: readonly Frame[]): CapturedClient[] {
  const reader = new PacketReader();
  const wire = new Wire();
  for (const frame of frames) {
    const packet = reader.read(frame);
    switch (packet?.kind) {
      case 'arp':
        wire.arp(packet);
        break;
      case 'udp':
        wire.udp(packet);
        break;
      case 'tcp':
        wire.tcp(packet);
        break;
      case 'unreachable': {
        const { at, frame: number, by, code, to, port, protocol } = packet;
        wire.later(packet.from, { kind: 'unreachable', at, packet: number, by, code, to, port, protocol });
        break;
      }
    }
  }
  return wire.clients();
}

class Wire {
  readonly #byMac = new Map<string, Observation[]>();
  /** What was seen of addresses; whose they are may be seen later. */
  readonly #byAddress: { address: string; observation: Observation }[] = [];
  /** Whose an address is: as DHCP gave it, else as ARP tells. */
  readonly #leased = new Map<string, string>();
  readonly #heard = new Map<string, string>();
  readonly #questions = new Map<string, ArpQuestion>();
  readonly #lately = new Map<string, number>();
  readonly #tftp = new TftpTransfers();
  readonly #http = new HttpTransfers();

  arp({ what, mac, sender, target, at, frame }: ArpPacket): void {
    if (sender !== '0.0.0.0') this.#heard.set(sender, mac);
    for (const question of what === 'reply' ? this.#questions.values() : [])
      if (question.target === sender) question.answered = true;
    // Asking for one's own address is a probe or an announcement (RFC 5227).
    if (what !== 'request' || target === sender || sender === '0.0.0.0') return;
    const key = `${sender} ${target}`;
    const known = this.#questions.get(key);
    if (known !== undefined) known.requests++;
    else if (this.#questions.size < MAX_CLIENTS) {
      const question: ArpQuestion = { kind: 'arp', at, packet: frame, target, requests: 1, answered: false };
      this.#questions.set(key, question);
      this.later(sender, question);
    }
  }

  udp(packet: UdpPacket): void {
    if (DHCP_PORTS.includes(packet.port)) this.#dhcp(packet);
    else this.#tftp.take(packet);
  }

  tcp(packet: TcpPacket): void {
    const { syn, ack, sourcePort, at, frame, to } = packet;
    if (syn && ack && (sourcePort === AGENT_PORT || sourcePort === NBD_PORT)) {
      const kind = sourcePort === NBD_PORT ? 'disk' : 'agent';
      this.later(to, { kind, step: 'connected', at, packet: frame, detail: {} });
    }
    this.#http.take(packet);
  }

  /** Keeps an observation until it is known whose `address` is. */
  later(address: string, observation: Observation): void {
    this.#byAddress.push({ address, observation });
  }

  clients(): CapturedClient[] {
    for (const { client, transfer } of [...this.#tftp.all(), ...this.#http.all()])
      this.later(client, transfer);
    const all = new Map(this.#byMac);
    for (const { address, observation } of this.#byAddress) {
      const heard = this.#heard.get(address);
      const mac = this.#leased.get(address) ?? (heard !== undefined && all.has(heard) ? heard : undefined);
      const list = all.get(mac ?? address) ?? [];
      list.push(observation);
      all.set(mac ?? address, list);
    }
    return [...all]
      .map(([who, observations]) => ({ who, observations: observations.sort((a, b) => a.at - b.at) }))
      .filter(({ observations }) => observations.some(({ kind }) => kind === 'ask' || kind === 'transfer'))
      .sort((a, b) => a.observations[0]!.at - b.observations[0]!.at);
  }

  #dhcp(packet: UdpPacket): void {
    let message: DhcpMessage;
    try {
      message = decodeMessage(packet.payload);
    } catch (error) {
      if (error instanceof DhcpError) return;
      throw error;
    }
    if (this.#isTwice(message, packet)) return;
    const seen = { at: packet.at, packet: packet.frame };
    const observation =
      message.op === 'request' ? askOf(message, seen) : answerOf(message, packet.from, seen);
    if (observation === undefined) return;
    const { mac } = observation;
    const list = this.#byMac.get(mac) ?? [];
    if (list.length === 0 && this.#byMac.size >= MAX_CLIENTS) return;
    list.push(observation);
    this.#byMac.set(mac, list);
    if (observation.kind === 'answer' && observation.type === 'ack' && observation.address !== undefined)
      this.#leased.set(observation.address, mac);
  }

  #isTwice(message: DhcpMessage, packet: UdpPacket): boolean {
    const type = message.options.get(53)?.[0] ?? 0;
    const from = message.op === 'reply' ? (message.options.get(54)?.join('.') ?? packet.from) : message.secs;
    // Firmware may ask for an item of its menu with the same number as before.
    const item = message.options.get(43) ?? '';
    const key = `${message.mac} ${message.xid} ${type} ${from} ${packet.port === 4011} ${item}`;
    const before = this.#lately.get(key) ?? Number.NEGATIVE_INFINITY;
    if (this.#lately.size > 10 * MAX_CLIENTS) this.#lately.clear();
    this.#lately.set(key, packet.at);
    return packet.at - before < TWICE_MS;
  }
}
