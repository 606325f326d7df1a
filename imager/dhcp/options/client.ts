/** What a client said about itself and what it wants: the options of a request, typed. */
import { type Uid, uidFromGuidBytes } from '../../../agent/protocol/uid.ts';
import { DhcpError } from '../error.ts';
import { OPTION } from './codes.ts';
import type { Options } from './field.ts';
import { parametersFrom } from './parameters.ts';
import { type RelayInformation, readRelayInformation } from './relay.ts';
import { readAddress, readRaw, readText, readUint, textFromBytes } from './values.ts';

/** Options of a request. Undefined: not sent. */
export interface ClientOptions {
  /** Option 53 as sent; may be a type this server does not know. Undefined: a BOOTP client. */
  messageType: number | undefined;
  /** Option 50. */
  requestedAddress: string | undefined;
  /** Option 51, seconds. */
  leaseSeconds: number | undefined;
  /** Option 54: the server the client has chosen. */
  serverIdentifier: string | undefined;
  /** Option 55: codes of the options it asks for. */
  parameters: ReadonlySet<number>;
  /** The same as text, in their order, with commas. */
  asked: string | undefined;
  /** Option 57: longest IP datagram it takes, bytes. */
  maximumMessageSize: number | undefined;
  /** Option 12. */
  hostName: string | undefined;
  /** Option 60, e.g. 'PXEClient:Arch:00007:UNDI:003016'. */
  vendorClass: string | undefined;
  /** Option 61, lower-case hexadecimal. */
  clientIdentifier: string | undefined;
  /** Option 77, its first class. */
  userClass: string | undefined;
  /** Option 93, its first type: 0 x86 BIOS, 7 x64 UEFI, 11 arm64 UEFI, 16 x64 UEFI HTTP. */
  architecture: number | undefined;
  /** Option 97 where it holds a UUID that is not one of those boards ship unset. */
  uid: Uid | undefined;
  /** Option 82. */
  relay: RelayInformation;
  /** Option 118: the subnet it wants an address of (RFC 3011). */
  subnetSelection: string | undefined;
  /** True for iPXE: it sends Etherboot options, which hold what it can do. */
  ipxe: boolean;
  /** Codes of options that are malformed and count as not sent. */
  ignored: readonly number[];
}

/** What of a client's options says which node it is. */
export type Identity = Pick<ClientOptions, 'uid' | 'clientIdentifier' | 'relay'>;

/**
 * Reads the options of a request. What a client can be served without is ignored where it is malformed, since
 * firmware in the field sends such things; for the rest it throws DhcpError 'option-length'.
 */
export function readClientOptions(options: Options): ClientOptions {
  const ignored: number[] = [];
  const { codes, text } = parametersFrom(options.get(OPTION.parameterRequestList));
  return {
    messageType: readUint(options, OPTION.messageType, 1),
    requestedAddress: readAddress(options, OPTION.requestedAddress),
    leaseSeconds: readUint(options, OPTION.leaseTime, 4),
    serverIdentifier: readAddress(options, OPTION.serverIdentifier),
    parameters: codes,
    asked: text,
    maximumMessageSize: lenient(options, OPTION.maximumMessageSize, readMaximumMessageSize, ignored),
    hostName: readText(options, OPTION.hostName),
    vendorClass: readText(options, OPTION.vendorClass),
    clientIdentifier: lenient(options, OPTION.clientIdentifier, readClientIdentifier, ignored),
    userClass: readUserClass(options),
    architecture: lenient(options, OPTION.clientArchitecture, readArchitecture, ignored),
    uid: lenient(options, OPTION.clientMachineIdentifier, readMachineIdentifier, ignored),
    relay: lenient(options, OPTION.relayAgentInformation, readRelayInformation, ignored) ?? {},
    subnetSelection: lenient(options, OPTION.subnetSelection, readSubnetSelection, ignored),
    ipxe: options.has(OPTION.etherboot),
    ignored,
  };
}

/** Reads of a request what says which node sent it, as readClientOptions does. */
export function readIdentity(options: Options): Identity {
  return {
    uid: lenient(options, OPTION.clientMachineIdentifier, readMachineIdentifier),
    clientIdentifier: lenient(options, OPTION.clientIdentifier, readClientIdentifier),
    relay: lenient(options, OPTION.relayAgentInformation, readRelayInformation) ?? {},
  };
}

/** What `read` makes of option `code`; undefined where it was not sent or is malformed, which `ignored` then tells. */
function lenient<T>(
  options: Options,
  code: number,
  read: (options: Options) => T,
  ignored?: number[],
): T | undefined {
  if (!options.has(code)) return undefined;
  try {
    return read(options);
  } catch (error) {
    if (!(error instanceof DhcpError)) throw error;
    ignored?.push(code);
    return undefined;
  }
}

function readMaximumMessageSize(options: Options): number | undefined {
  return readUint(options, OPTION.maximumMessageSize, 2);
}

function readSubnetSelection(options: Options): string | undefined {
  return readAddress(options, OPTION.subnetSelection);
}

/** Option 61: opaque, type and at least one byte (RFC 2132 section 9.14). */
function readClientIdentifier(options: Options): string | undefined {
  const value = options.get(OPTION.clientIdentifier);
  if (value === undefined) return undefined;
  if (value.length < 2 || value.length > 255)
    throw new DhcpError('option-length', `client identifier of ${value.length} bytes, 2 to 255 are allowed`);
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString('hex');
}

/**
 * Option 77: a list of length-prefixed classes (RFC 3004 section 4), or the bare string 'iPXE' that iPXE sends.
 * It is a list only where the lengths add up exactly; 'i' as a length (105) never does for so short a string.
 */
function readUserClass(options: Options): string | undefined {
  const value = options.get(OPTION.userClass);
  if (value === undefined) return undefined;
  let at = 0;
  while (at < value.length && value[at]! > 0) at += 1 + value[at]!;
  const isList = value.length > 0 && at === value.length;
  return textFromBytes(isList ? value.subarray(1, 1 + value[0]!) : value);
}

/** Option 93: one or more 16-bit types, the preferred first (RFC 4578 section 2.1). */
function readArchitecture(options: Options): number | undefined {
  const value = options.get(OPTION.clientArchitecture);
  if (value === undefined) return undefined;
  if (value.length === 0 || value.length % 2 !== 0)
    throw new DhcpError('option-length', `client architecture of ${value.length} bytes`);
  return value[0]! * 256 + value[1]!;
}

/** Option 97: type 0 and a 16-byte GUID is the only form there is (RFC 4578 section 2.3). */
function readMachineIdentifier(options: Options): Uid | undefined {
  const value = readRaw(options, OPTION.clientMachineIdentifier, 17);
  if (value === undefined) return undefined;
  if (value[0] !== 0)
    throw new DhcpError('option-value', `client machine identifier of type ${value[0]}, only 0 is defined`);
  return uidFromGuidBytes(value.subarray(1));
}
