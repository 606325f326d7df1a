/**
 * proxyDHCP: what to boot, beside somebody else's server that gives the addresses (PXE specification 2.1, sections
 * 2.2.2 and 2.2.3). A pure function of the message and a snapshot. It never gives an address and never refuses one.
 *
 *     DISCOVER on port 67        OFFER without an address: class, boot file, where it is
 *     REQUEST, INFORM on 4011    ACK with the same, for firmware that asks the boot server once it has its address
 *     REQUEST on port 67         not answered, but heard: what a node of ours asks the other server for is its address
 *                                from now on, and is kept as a lease of our own would be
 */
import type { DhcpMessage } from './codec.ts';
import {
  type Decision,
  type Destination,
  destination,
  type Silence,
  type Subject,
  subjectOf,
} from './decision.ts';
import { UNSPECIFIED } from './ipv4.ts';
import type { Lease, LeaseChange } from './lease.ts';
import { isHostOf, networkContaining, networkOfSender } from './networks.ts';
import { type ClientOptions, readClientOptions } from './options/client.ts';
import { OPTION } from './options/codes.ts';
import { pxeOptions } from './options/pxe.ts';
import { textToBytes } from './options/values.ts';
import { answer, bootChoice, customOptions, head, type Request, replyLimit, toldOf } from './reply.ts';
import { identify, type World } from './world.ts';

/** Where boot servers listen (PXE specification 2.1, section 2.2.3). */
export const PXE_PORT = 4011;
const BOOT_OPTIONS: ReadonlySet<number> = new Set([
  ...[OPTION.vendorSpecific, OPTION.vendorClass, OPTION.tftpServerName, OPTION.bootFileName],
  ...[OPTION.tftpServerAddress, OPTION.etherboot],
]);
/** Option 93 of x86 BIOS (RFC 4578 section 2.1), and what a ROM that sends none is. */
const BIOS = 0;

/** Where a message to port 4011 came from. */
export interface Sender {
  address: string;
  port: number;
}

/**
 * Decides. `sender` is given for what came to port 4011, undefined for port 67. Throws DhcpError where an option the
 * answer depends on is malformed.
 */
export function decideProxy(message: DhcpMessage, world: World, sender?: Sender): Decision {
  const options = readClientOptions(message.options);
  const request: Request = { message, options, client: identify(message, options, world) };
  const subject = subjectOf(request);
  const silence = (reason: Silence): Decision => ({ kind: 'silence', subject, reason });
  const { step } = subject;
  if (message.op !== 'request') return silence('not-request');
  if (options.messageType === undefined) return silence('bootp');
  if (step === undefined) return silence('message-type');
  // Everybody on the wire is heard here, and most are no business of ours.
  if (!isBootFirmware(options) && request.client.reservation === undefined)
    return silence('no-boot-firmware');
  const chosen = options.serverIdentifier;
  const isOurs = chosen === world.config.serverAddress;
  if (sender !== undefined) {
    if (step !== 'request' && step !== 'inform') return silence('message-type');
    if (chosen !== undefined && !isOurs) return silence('other-server');
    if (sender.address === UNSPECIFIED || sender.port === 0) return silence('no-address');
    return bootReply('ack', request, subject, world, sender);
  }
  if (step === 'discover')
    return bootReply('offer', request, subject, world, destination(message, UNSPECIFIED));
  if (isOurs) return silence('proxy-only');
  return step === 'request' ? overhear(request, subject, world) : silence('other-server');
}

function bootReply(
  step: 'offer' | 'ack',
  request: Request,
  subject: Subject,
  world: World,
  to: Destination,
): Decision {
  const { message, options } = request;
  const about: Subject = { ...subject, address: message.ciaddr === UNSPECIFIED ? undefined : message.ciaddr };
  if (!isBootFirmware(options)) return { kind: 'silence', subject: about, reason: 'no-boot-firmware' };
  const told = toldOf(bootChoice(request, world));
  if (told.file === undefined)
    return {
      kind: 'silence',
      subject: { ...about, detail: { ...about.detail, ...told } },
      reason: 'no-boot-file',
    };
  return {
    kind: 'reply',
    step,
    subject: about,
    message: bootMessage(step, request, told.file, world),
    to,
    limit: replyLimit(options),
    offer: undefined,
    changes: step === 'ack' ? seenAt(message.ciaddr, request, world) : [],
    reason: undefined,
    detail: { ...told, server: bootServer(request, world) },
  };
}

/**
 * Fields and options of PXE specification 2.1 tables 2-3 and 2-5. The file is in the field, where ROMs look, and in
 * option 67, where UEFI and HTTP boot look first.
 *
 * UEFI PXE is not told the discovery control (option 43): EDK II releases ignore proxies that send it (its bug 469), and
 * all of them ask port 4011 of one that sends the class alone, which is how BINL servers have always answered. They
 * ask it of siaddr, which in an OFFER is therefore this server even where files are loaded from another.
 */
function bootMessage(step: 'offer' | 'ack', request: Request, file: string, world: World): DhcpMessage {
  const { message, options: asked } = request;
  const server = bootServer(request, world);
  const options = head(step, request, world);
  for (const [code, value] of pxeOptions(message.options, asked)) options.set(code, value);
  const isUefi = !asked.ipxe && (asked.architecture ?? BIOS) !== BIOS;
  if (isUefi) options.delete(OPTION.vendorSpecific);
  options.set(OPTION.tftpServerName, textToBytes(server));
  options.set(OPTION.bootFileName, textToBytes(file));
  for (const { code, value } of customOptions(request, world))
    if (isOfBooting(code)) options.set(code, value);
  // Whatever option 43 the operator has: an answer about a boot item names it.
  const item = bootItem(message);
  if (item !== undefined) options.set(OPTION.vendorSpecific, item);
  for (const code of [OPTION.clientIdentifier, OPTION.relayAgentInformation]) {
    const value = message.options.get(code);
    if (value !== undefined) options.set(code, value);
  }
  return {
    ...answer(message, options),
    ciaddr: step === 'ack' ? message.ciaddr : UNSPECIFIED,
    siaddr: isUefi && step === 'offer' ? world.config.serverAddress : server,
    file,
  };
}

/** The operator's options that are a proxy's to send: of PXE, iPXE and PXELINUX (RFC 5071), and those nobody has named. */
function isOfBooting(code: number): boolean {
  return BOOT_OPTIONS.has(code) || (code >= 208 && code <= 211) || (code >= 224 && code < OPTION.end);
}

/** Where the boot file is loaded from. */
function bootServer({ message, options }: Request, { networks, config }: World): string {
  return networkOfSender(message, options, networks)?.settings.nextServer ?? config.serverAddress;
}

function isBootFirmware({ vendorClass = '', ipxe }: ClientOptions): boolean {
  return ipxe || vendorClass.startsWith('PXEClient') || vendorClass.startsWith('HTTPClient');
}

/** Tag 71 of option 43: which boot server and layer the client wants, 2 bytes each. The answer names it (table 2-7). */
const BOOT_ITEM = 71;
const END = 255;

/** The option 43 that answers the boot item a client asks for; undefined where it asks for none. */
function bootItem({ options }: DhcpMessage): Uint8Array | undefined {
  const value = options.get(OPTION.vendorSpecific);
  if (value === undefined) return undefined;
  for (let at = 0; at + 1 < value.length && value[at] !== END; at += value[at] === 0 ? 1 : 2 + value[at + 1]!)
    if (value[at] === BOOT_ITEM && value[at + 1] === 4 && at + 6 <= value.length)
      return Uint8Array.of(...value.subarray(at, at + 6), END);
  return undefined;
}

/** A broadcast REQUEST is the only word a proxy hears of which address a client takes (RFC 2131 section 3.1). */
function overhear(request: Request, subject: Subject, world: World): Decision {
  const { message, options, client } = request;
  const address = options.requestedAddress ?? (message.ciaddr === UNSPECIFIED ? undefined : message.ciaddr);
  const server = options.serverIdentifier;
  const reserved = client.reservation?.address;
  const differs = reserved !== undefined && address !== undefined && reserved !== address;
  const about: Subject = {
    ...subject,
    address,
    detail: {
      ...subject.detail,
      ...(server === undefined ? {} : { server }),
      ...(differs ? { why: `configured with ${reserved}: reserve that there, or name no address here` } : {}),
    },
  };
  if (client.reservation === undefined || address === undefined || !isHost(address, world))
    return { kind: 'silence', subject: about, reason: 'other-server' };
  return { kind: 'quiet', subject: about, changes: seenAt(address, request, world), reason: 'other-server' };
}

function isHost(address: string, { networks }: World): boolean {
  const network = networkContaining(networks, address);
  return network !== undefined && isHostOf(network, address);
}

/** Keeps in mind that a node has an address. What is known already is written again when half of its time is over. */
function seenAt(address: string, { client, options }: Request, world: World): LeaseChange[] {
  const { config, leases, now } = world;
  const { key, mac, uid, reservation } = client;
  if (reservation === undefined || !isHost(address, world)) return [];
  const known = leases.byAddress(address);
  const lasts = config.leaseSeconds * 1000;
  if (known?.client === key && known.state === 'bound' && known.expires > now + lasts / 2) return [];
  const hostname = reservation.hostname ?? options.hostName;
  const lease: Lease = {
    address,
    client: key,
    mac,
    state: 'bound',
    start: now,
    expires: now + lasts,
    node: reservation.node,
    ...(uid === undefined ? {} : { uid }),
    ...(hostname === undefined ? {} : { hostname }),
  };
  const previous = leases.byClient(key);
  return [
    { type: 'put', lease },
    ...(previous === undefined || previous.address === address
      ? []
      : [{ type: 'delete' as const, address: previous.address }]),
  ];
}
