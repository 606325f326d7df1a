/** Builds replies: which fields and options an OFFER, ACK and NAK carry (RFC 2131 table 3, RFC 4578). Pure. */
import type { DhcpMessage } from './codec.ts';
import { DEFAULT_LIMIT } from './codec.ts';
import type { BootClient, BootFileChoice, NoBootFile } from './config.ts';
import { addressToBytes, UNSPECIFIED } from './ipv4.ts';
import type { ClientOptions } from './options/client.ts';
import { MESSAGE_TYPE, OPTION } from './options/codes.ts';
import type { Options } from './options/field.ts';
import { IPXE_NO_PROXY, pxeOptions } from './options/pxe.ts';
import { addressesToBytes, textToBytes, uintToBytes } from './options/values.ts';
import type { Client, World } from './world.ts';

/** Ethernet's: what option 57 may raise the limit to. */
const MTU = 1500;
const IP_AND_UDP = 28;
/** RFC 2131 section 4.4.5. */
const T1 = 0.5;
const T2 = 0.875;

export interface Request {
  message: DhcpMessage;
  options: ClientOptions;
  client: Client;
}

/** UDP payload the client takes, from option 57 (RFC 2132 section 9.10 counts the IP datagram). */
export function replyLimit(options: ClientOptions): number {
  const datagram = Math.min(options.maximumMessageSize ?? 0, MTU);
  return Math.max(DEFAULT_LIMIT, datagram - IP_AND_UDP);
}

/** What the client boots; nothing too where an HTTPClient would get something that is no absolute URL. */
export function bootChoice(
  { client, options }: Request,
  world: World,
): BootFileChoice | NoBootFile | undefined {
  const boot: BootClient = {
    mac: client.mac,
    ...(client.uid === undefined ? {} : { uid: client.uid }),
    ...(options.architecture === undefined ? {} : { arch: options.architecture }),
    ...(options.userClass === undefined ? {} : { userClass: options.userClass }),
    ...(options.vendorClass === undefined ? {} : { vendorClass: options.vendorClass }),
    ...(client.reservation === undefined ? {} : { node: client.reservation.node }),
  };
  const choice = world.config.bootFile(boot);
  const httpOnly = options.vendorClass?.startsWith('HTTPClient');
  return httpOnly && choice !== undefined && 'file' in choice && !/^https?:\/\//.test(choice.file)
    ? { why: `an HTTP client can load nothing but URLs, and ${choice.file} is none` }
    : choice;
}

/** What a reply says of booting, for events. */
export function toldOf(choice: BootFileChoice | NoBootFile | undefined): Record<string, string> {
  if (choice === undefined) return {};
  return 'file' in choice ? { file: choice.file } : { why: choice.why };
}

/** An OFFER or ACK. `leaseSeconds` is left out in the answer to an INFORM (RFC 2131 section 4.3.5). */
export function grant(
  kind: 'offer' | 'ack',
  request: Request,
  world: World,
  lease: { address: string; seconds: number } | undefined,
): { message: DhcpMessage; told: Record<string, string> } {
  const { config, network } = world;
  const { message, options: asked, client } = request;
  const choice = bootChoice(request, world);
  const boot = choice !== undefined && 'file' in choice ? choice : undefined;
  const options = head(kind, world);
  const put = (code: number, value: Uint8Array | undefined) => value && options.set(code, value);
  const wants = (code: number) => asked.parameters.has(code);
  if (lease !== undefined) {
    put(OPTION.leaseTime, uintToBytes(lease.seconds, 4));
    if (wants(OPTION.renewalTime)) put(OPTION.renewalTime, uintToBytes(Math.floor(lease.seconds * T1), 4));
    if (wants(OPTION.rebindingTime))
      put(OPTION.rebindingTime, uintToBytes(Math.floor(lease.seconds * T2), 4));
  }
  put(OPTION.clientIdentifier, message.options.get(OPTION.clientIdentifier));
  // The mask comes before the router (RFC 2132 section 3.3).
  put(OPTION.subnetMask, uintToBytes(network.mask, 4));
  if (config.router !== undefined) put(OPTION.router, addressToBytes(config.router));
  if (config.dns?.length) put(OPTION.domainNameServer, addressesToBytes(config.dns));
  if (wants(OPTION.broadcastAddress)) put(OPTION.broadcastAddress, uintToBytes(network.last, 4));
  const hostName = client.reservation?.hostname;
  if (hostName) put(OPTION.hostName, textToBytes(hostName));
  if (boot !== undefined) {
    for (const [code, value] of pxeOptions(message.options, asked)) put(code, value);
    // Those that ask for option 67 get it beside the file field: UEFI reads the option first, old ROMs only the field.
    if (wants(OPTION.bootFileName)) put(OPTION.bootFileName, textToBytes(boot.file));
    if (wants(OPTION.tftpServerName)) put(OPTION.tftpServerName, textToBytes(config.serverAddress));
  }
  // A node of ours has nothing to expect of a proxy, whether it is told a boot file or its EEPROM names the image.
  if (asked.ipxe && (boot !== undefined || client.reservation !== undefined))
    put(OPTION.etherboot, IPXE_NO_PROXY);
  put(OPTION.relayAgentInformation, message.options.get(OPTION.relayAgentInformation));
  return {
    told: toldOf(choice),
    message: {
      ...answer(message, options),
      ciaddr: kind === 'ack' ? message.ciaddr : UNSPECIFIED,
      yiaddr: lease?.address ?? UNSPECIFIED,
      siaddr: boot === undefined ? UNSPECIFIED : config.serverAddress,
      file: boot?.file ?? '',
    },
  };
}

/** A NAK with words for the client's log. Through a relay it is broadcast on the client's link (RFC 2131 4.3.2). */
export function refuse(request: Request, world: World, words: string): DhcpMessage {
  const { message } = request;
  const options = head('nak', world);
  options.set(OPTION.message, textToBytes(words));
  for (const code of [OPTION.clientIdentifier, OPTION.relayAgentInformation]) {
    const value = message.options.get(code);
    if (value !== undefined) options.set(code, value);
  }
  return { ...answer(message, options), broadcast: message.broadcast || message.giaddr !== UNSPECIFIED };
}

/** Message type and server identifier: what every reply begins with. */
export function head(kind: 'offer' | 'ack' | 'nak', world: World): Options {
  return new Map<number, Uint8Array>([
    [OPTION.messageType, Uint8Array.of(MESSAGE_TYPE[kind])],
    [OPTION.serverIdentifier, addressToBytes(world.config.serverAddress)],
  ]);
}

/** What every reply takes from its request. Echoing option 61 is RFC 6842, echoing 82 last RFC 3046 section 2.2. */
export function answer(message: DhcpMessage, options: Options): DhcpMessage {
  return {
    op: 'reply',
    hops: 0,
    xid: message.xid,
    secs: 0,
    broadcast: message.broadcast,
    ciaddr: UNSPECIFIED,
    yiaddr: UNSPECIFIED,
    siaddr: UNSPECIFIED,
    giaddr: message.giaddr,
    mac: message.mac,
    serverName: '',
    file: '',
    options,
  };
}
