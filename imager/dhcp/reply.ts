/** Builds replies: which fields and options an OFFER, ACK and NAK carry (RFC 2131 table 3, RFC 4578). Pure. */
import type { DhcpMessage } from './codec.ts';
import { DEFAULT_LIMIT } from './codec.ts';
import type { BootClient, BootFileChoice, CustomOption, NoBootFile, PxeMenu } from './config.ts';
import { addressToBytes, UNSPECIFIED } from './ipv4.ts';
import { leaseTimes, networkValues, serverValue } from './network-values.ts';
import type { Subnet } from './networks.ts';
import type { ClientOptions } from './options/client.ts';
import { MESSAGE_TYPE, OPTION } from './options/codes.ts';
import type { Options } from './options/field.ts';
import { IPXE_NO_PROXY, pxeOptions } from './options/pxe.ts';
import { menuToBytes } from './options/pxe-menu.ts';
import { textToBytes } from './options/values.ts';
import type { Client, World } from './world.ts';

/** Ethernet's: what option 57 may raise the limit to. */
const MTU = 1500;
const IP_AND_UDP = 28;

export interface Request {
  message: DhcpMessage;
  options: ClientOptions;
  client: Client;
}

/** A request whose sender's network is known. */
export interface PlacedRequest extends Request {
  subnet: Subnet;
}

/** UDP payload the client takes, from option 57 (RFC 2132 section 9.10 counts the IP datagram). */
export function replyLimit(options: ClientOptions): number {
  const datagram = Math.min(options.maximumMessageSize ?? 0, MTU);
  return Math.max(DEFAULT_LIMIT, datagram - IP_AND_UDP);
}

/** What is known of the sender that what it boots goes by. */
function bootClient({ client, options }: Request): BootClient {
  // One by one and not spread, here and below: this is made for every reply.
  const known: BootClient = { mac: client.mac };
  if (client.uid !== undefined) known.uid = client.uid;
  if (options.architecture !== undefined) known.arch = options.architecture;
  if (options.userClass !== undefined) known.userClass = options.userClass;
  if (options.vendorClass !== undefined) known.vendorClass = options.vendorClass;
  if (client.reservation !== undefined) known.node = client.reservation.node;
  return known;
}

/** The menu the client is shown: none but PXE firmware (iPXE among it) shows one. */
export function menuFor(request: Request, world: World): PxeMenu | undefined {
  const { menu } = world.config;
  if (menu === undefined || !request.options.vendorClass?.startsWith('PXEClient')) return undefined;
  // The operator's own option 43 takes the place of ours.
  const isReplaced = customOptions(request, world).some(({ code }) => code === OPTION.vendorSpecific);
  return isReplaced ? undefined : menu(bootClient(request));
}

/** What the client boots; nothing too where an HTTPClient would get something that is no absolute URL. */
export function bootChoice(request: Request, world: World): BootFileChoice | NoBootFile | undefined {
  const { options } = request;
  const choice = world.config.bootFile(bootClient(request));
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

/** What the sender's relay agent passes the server off as. */
function serverOverride({ message, options }: Request): string | undefined {
  return message.giaddr === UNSPECIFIED ? undefined : options.relay.serverOverride;
}

/** What clients may call this server: its address, and what their relay agent passes it off as (RFC 5107). */
export function serverIdentifiers(request: Request, { config }: World): string[] {
  const override = serverOverride(request);
  return override === undefined ? [config.serverAddress] : [override, config.serverAddress];
}

/**
 * An OFFER, ACK or reply to BOOTP. `lease` is left out in the answer to an INFORM (RFC 2131 section 4.3.5); a BOOTP reply
 * has an address without its time. Options are in the order of their weight for a node that boots: where a reply has no
 * room for all, the last are left out.
 */
export function grant(
  kind: 'offer' | 'ack' | 'bootp-reply',
  request: PlacedRequest,
  world: World,
  lease: { address: string; seconds: number } | undefined,
): { message: DhcpMessage; told: Record<string, string | number> } {
  const { config } = world;
  const { message, options: asked, client, subnet } = request;
  const { router, nextServer = config.serverAddress } = subnet.settings;
  const values = networkValues(subnet);
  const choice = bootChoice(request, world);
  const boot = choice !== undefined && 'file' in choice ? choice : undefined;
  const menu = kind === 'bootp-reply' ? undefined : menuFor(request, world);
  const options = kind === 'bootp-reply' ? new Map<number, Uint8Array>() : head(kind, request, world);
  const put = (code: number, value: Uint8Array | undefined) => value && options.set(code, value);
  const wants = (code: number) => asked.parameters.has(code);
  const times = kind === 'bootp-reply' || lease === undefined ? undefined : leaseTimes(subnet, lease.seconds);
  if (times !== undefined) put(OPTION.leaseTime, times.lease);
  // The mask comes before the router (RFC 2132 section 3.3).
  put(OPTION.subnetMask, values.mask);
  put(OPTION.router, values.router);
  if (boot !== undefined || menu !== undefined) {
    const shown = menu && menuToBytes(menu, config.serverAddress);
    for (const [code, value] of pxeOptions(message.options, asked, shown)) put(code, value);
  }
  if (boot !== undefined) {
    // Those that ask for option 67 get it beside the file field: UEFI reads the option first, old ROMs only the field.
    if (wants(OPTION.bootFileName)) put(OPTION.bootFileName, textToBytes(boot.file));
    if (wants(OPTION.tftpServerName)) put(OPTION.tftpServerName, textToBytes(nextServer));
    if (wants(OPTION.tftpServerAddress)) put(OPTION.tftpServerAddress, addressToBytes(nextServer));
  }
  // A node of ours has nothing to expect of a proxy, whether it is told a boot file or its EEPROM names the image.
  if (asked.ipxe && (boot !== undefined || client.reservation !== undefined))
    put(OPTION.etherboot, IPXE_NO_PROXY);
  for (const { code, value } of customOptions(request, world)) put(code, value);
  const own = (code: number, value: Uint8Array | undefined) => options.has(code) || put(code, value);
  own(OPTION.domainNameServer, values.nameServers);
  const hostName = client.reservation?.hostname;
  if (hostName) own(OPTION.hostName, textToBytes(hostName));
  own(OPTION.domainName, values.domain);
  if (wants(OPTION.broadcastAddress)) own(OPTION.broadcastAddress, values.broadcast);
  if (times !== undefined) {
    if (wants(OPTION.renewalTime)) own(OPTION.renewalTime, times.renewal);
    if (wants(OPTION.rebindingTime)) own(OPTION.rebindingTime, times.rebinding);
  }
  echo(message, options);
  // U-Boot knows by itself what to load, only not where from.
  const loads = boot !== undefined || asked.vendorClass?.startsWith('U-Boot');
  const siaddr = loads ? nextServer : UNSPECIFIED;
  const told: Record<string, string | number> = toldOf(choice);
  if (menu !== undefined) told.menu = menu.items.length;
  if (loads) told.server = siaddr;
  if (router !== undefined) told.router = router;
  const reply = answer(message, options);
  if (kind !== 'offer') reply.ciaddr = message.ciaddr;
  if (lease !== undefined) reply.yiaddr = lease.address;
  reply.siaddr = siaddr;
  if (boot !== undefined) reply.file = boot.file;
  return { told, message: reply };
}

const NO_OPTIONS: readonly CustomOption[] = [];

/** Those of the configured options that are for the sender. */
export function customOptions({ options, client }: Request, { config }: World): readonly CustomOption[] {
  const { vendorClass, userClass, architecture } = options;
  if (config.options === undefined) return NO_OPTIONS;
  return config.options.filter(
    ({ for: who }) =>
      (who?.node === undefined || who.node === client.reservation?.node) &&
      (who?.architecture === undefined || who.architecture === architecture) &&
      (who?.class === undefined || vendorClass?.startsWith(who.class) || userClass === who.class),
  );
}

const ECHOED = [OPTION.clientIdentifier, OPTION.subnetSelection, OPTION.relayAgentInformation] as const;

/** Options that go back as they came: 61 (RFC 6842), 118 (RFC 3011), and at the end 82 (RFC 3046 section 2.2). */
function echo(request: DhcpMessage, options: Options): void {
  for (const code of ECHOED) {
    const value = request.options.get(code);
    if (value !== undefined) options.set(code, value);
  }
}

/** A NAK with words for the client's log. Through a relay it is broadcast on the client's link (RFC 2131 4.3.2). */
export function refuse(request: Request, world: World, words: string): DhcpMessage {
  const { message } = request;
  const options = head('nak', request, world);
  options.set(OPTION.message, textToBytes(words));
  echo(message, options);
  return { ...answer(message, options), broadcast: message.broadcast || message.giaddr !== UNSPECIFIED };
}

const KIND = {
  offer: Uint8Array.of(MESSAGE_TYPE.offer),
  ack: Uint8Array.of(MESSAGE_TYPE.ack),
  nak: Uint8Array.of(MESSAGE_TYPE.nak),
};

/** Message type and server identifier: what every reply begins with. */
export function head(kind: 'offer' | 'ack' | 'nak', request: Request, world: World): Options {
  const options: Options = new Map();
  const override = serverOverride(request);
  options.set(OPTION.messageType, KIND[kind]);
  options.set(
    OPTION.serverIdentifier,
    override === undefined ? serverValue(world.config) : addressToBytes(override),
  );
  return options;
}

/** What every reply takes from its request. */
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
