/**
 * The boot server: what firmware that has its address is told to load, and a proxy's word on that before (PXE
 * specification 2.1, sections 2.2.2 to 2.2.4). A pure function of the message and a snapshot. It never gives an address
 * and never refuses one.
 *
 *     REQUEST, INFORM on port 4011    ACK with the boot file: of the menu's item that is asked for (option 43, tag 71), else
 *                                     what the client boots without a menu
 */
import type { DhcpMessage } from './codec.ts';
import type { BootFileChoice, NoBootFile, PxeMenu } from './config.ts';
import { type Decision, type Destination, type Silence, type Subject, subjectOf } from './decision.ts';
import { UNSPECIFIED } from './ipv4.ts';
import type { LeaseChange } from './lease.ts';
import { networkOfSender } from './networks.ts';
import { type ClientOptions, readClientOptions } from './options/client.ts';
import { OPTION } from './options/codes.ts';
import { pxeOptions } from './options/pxe.ts';
import { type BootItem, bootItemToBytes, itemOf, menuToBytes, readBootItem } from './options/pxe-menu.ts';
import { textToBytes } from './options/values.ts';
import {
  answer,
  bootChoice,
  customOptions,
  head,
  menuFor,
  type Request,
  replyLimit,
  toldOf,
} from './reply.ts';
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
 * Decides about what came to port 4011. `seen` says what to keep of a client having an address. Throws DhcpError where an
 * option the answer depends on is malformed.
 */
export function decideBootServer(
  message: DhcpMessage,
  world: World,
  sender: Sender,
  seen: (request: Request) => LeaseChange[],
): Decision {
  const { request, subject, fault } = readBootRequest(message, world);
  const silence = (reason: Silence): Decision => ({ kind: 'silence', subject, reason });
  if (fault !== undefined) return silence(fault);
  const { options } = request;
  const { step } = subject;
  if (!isBootFirmware(options)) return silence('no-boot-firmware');
  if (step !== 'request' && step !== 'inform') return silence('message-type');
  const chosen = options.serverIdentifier;
  if (chosen !== undefined && chosen !== world.config.serverAddress) return silence('other-server');
  if (sender.address === UNSPECIFIED || sender.port === 0) return silence('no-address');
  return bootReply('ack', request, subject, world, sender, seen(request));
}

/** Reads what may be a request for a boot file. `fault` says why it is none, whoever sent it. Throws as the decisions do. */
export function readBootRequest(
  message: DhcpMessage,
  world: World,
): { request: Request; subject: Subject; fault?: Silence } {
  const options = readClientOptions(message.options);
  const request: Request = { message, options, client: identify(message, options, world) };
  const subject = subjectOf(request);
  if (message.op !== 'request') return { request, subject, fault: 'not-request' };
  if (options.messageType === undefined) return { request, subject, fault: 'bootp' };
  if (subject.step === undefined) return { request, subject, fault: 'message-type' };
  return { request, subject };
}

/** What a boot server, or a proxy's OFFER, tells the sender. `changes` are made durable before. */
export function bootReply(
  step: 'offer' | 'ack',
  request: Request,
  subject: Subject,
  world: World,
  to: Destination,
  changes: LeaseChange[],
): Decision {
  const { message, options } = request;
  const about: Subject = { ...subject, address: message.ciaddr === UNSPECIFIED ? undefined : message.ciaddr };
  const silence = (reason: Silence, told: Record<string, string | number>): Decision => ({
    kind: 'silence',
    subject: { ...about, detail: { ...about.detail, ...told } },
    reason,
  });
  const menu = menuFor(request, world);
  const item = step === 'ack' ? readBootItem(message.options) : undefined;
  const picked = menu && item && itemOf(menu, item);
  // Boot servers do not respond to requests of types they do not support (table 2-1, PXE_BOOT_SERVERS): the firmware
  // then says that nobody has the item, and a file it did not ask for would look as if it had worked.
  if (menu !== undefined && item !== undefined && picked === undefined)
    return silence('no-boot-item', { item: item.type, layer: item.layer });
  const choice = typeof picked?.boot === 'object' ? picked.boot : bootChoice(request, world);
  const told = { ...toldOf(choice), ...(picked === undefined ? {} : { item: picked.name }) };
  if (fileOf(choice) === undefined && (menu === undefined || item !== undefined))
    return silence('no-boot-file', told);
  const shown = item !== undefined || (step === 'offer' && isUefi(options)) ? undefined : menu;
  return {
    kind: 'reply',
    step,
    subject: about,
    message: bootMessage(step, request, world, { file: fileOf(choice), item, menu: shown }),
    to,
    limit: replyLimit(options),
    offer: undefined,
    changes,
    reason: undefined,
    detail: {
      ...told,
      ...(shown === undefined ? {} : { menu: shown.items.length }),
      server: bootServer(request, world),
    },
  };
}

function fileOf(choice: BootFileChoice | NoBootFile | undefined): string | undefined {
  return choice !== undefined && 'file' in choice ? choice.file : undefined;
}

interface Told {
  file: string | undefined;
  /** Asked for. */
  item: BootItem | undefined;
  /** To be shown. */
  menu: PxeMenu | undefined;
}

/**
 * Fields and options of PXE specification 2.1 tables 2-3 and 2-5. The file is in the field, where ROMs look, and in
 * option 67, where UEFI and HTTP boot look first.
 *
 * UEFI PXE is not told the discovery control (option 43) in an OFFER: EDK II releases ignore proxies that send it (its
 * bug 469), and all of them ask port 4011 of one that sends the class alone, which is how BINL servers have always
 * answered; there a menu is taken. They ask it of siaddr, which in an OFFER is therefore this server even where files
 * are loaded from another.
 */
function bootMessage(
  step: 'offer' | 'ack',
  request: Request,
  world: World,
  { file, item, menu }: Told,
): DhcpMessage {
  const { message, options: asked } = request;
  const server = bootServer(request, world);
  const options = head(step, request, world);
  const shown = menu && menuToBytes(menu, world.config.serverAddress);
  for (const [code, value] of pxeOptions(message.options, asked, shown)) options.set(code, value);
  if (isUefi(asked) && menu === undefined) options.delete(OPTION.vendorSpecific);
  options.set(OPTION.tftpServerName, textToBytes(server));
  if (file !== undefined) options.set(OPTION.bootFileName, textToBytes(file));
  for (const { code, value } of customOptions(request, world))
    if (isOfBooting(code)) options.set(code, value);
  // Whatever option 43 the operator has: an answer about a boot item names it.
  if (item !== undefined) options.set(OPTION.vendorSpecific, bootItemToBytes(item));
  for (const code of [OPTION.clientIdentifier, OPTION.relayAgentInformation]) {
    const value = message.options.get(code);
    if (value !== undefined) options.set(code, value);
  }
  return {
    ...answer(message, options),
    ciaddr: step === 'ack' ? message.ciaddr : UNSPECIFIED,
    siaddr: isUefi(asked) && step === 'offer' ? world.config.serverAddress : server,
    file: file ?? '',
  };
}

function isUefi({ ipxe, architecture = BIOS }: ClientOptions): boolean {
  return !ipxe && architecture !== BIOS;
}

/** The operator's options that are a proxy's to send: of PXE, iPXE and PXELINUX (RFC 5071), and those nobody has named. */
function isOfBooting(code: number): boolean {
  return BOOT_OPTIONS.has(code) || (code >= 208 && code <= 211) || (code >= 224 && code < OPTION.end);
}

/** Where the boot file is loaded from. */
function bootServer({ message, options }: Request, { networks, config }: World): string {
  return networkOfSender(message, options, networks)?.settings.nextServer ?? config.serverAddress;
}

export function isBootFirmware({ vendorClass = '', ipxe }: ClientOptions): boolean {
  return ipxe || vendorClass.startsWith('PXEClient') || vendorClass.startsWith('HTTPClient');
}
