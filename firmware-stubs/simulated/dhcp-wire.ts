/**
 * DHCP as a PXE ROM speaks it: RFC 2131 with the options of PXE 2.1 and RFC 4578. All numbers are big-endian. Written
 * apart from the imager's codec, so that the two can disagree.
 */

export interface RomIdentity {
  /** Six bytes. */
  mac: Uint8Array;
  /** Sixteen bytes, as option 97 carries them. */
  uuid: Uint8Array;
  /** Option 93: RFC 4578 section 2.1 and IANA's list; 0 is x86 BIOS, 7 UEFI on x86-64. */
  arch: number;
}

/** What a ROM looks at in a reply. Addresses are dotted quads. */
export interface RomReply {
  xid: number;
  mac: Uint8Array;
  /** Option 53. */
  type: number;
  yourAddress: string;
  /** Option 54. */
  server: string | undefined;
  /** siaddr, where that is zero option 54: so EDK2's PXE driver (PxeBcDhcp4BootInfo), which never reads option 66. */
  nextServer: string;
  /** Option 67, otherwise the field `file`; empty: none. */
  bootFile: string;
}

export const DISCOVER = 1;
export const OFFER = 2;
export const REQUEST = 3;
export const ACK = 5;
export const NAK = 6;

const FIXED = 236;
const COOKIE = [99, 130, 83, 99];
/** Asked for (option 55): some of what PXE ROMs ask for; 54 and 67 alone are read. */
const PARAMETERS = [1, 3, 43, 54, 60, 66, 67, 97];
const MAX_MESSAGE = 1472;

/** A DISCOVER, or with `selected` the REQUEST that takes an offer (RFC 2131 table 5, SELECTING). */
export function encodeRequest(
  identity: RomIdentity,
  {
    xid,
    seconds,
    selected,
  }: { xid: number; seconds: number; selected?: { address: string; server: string } },
): Uint8Array {
  const { mac, uuid, arch } = identity;
  const options = [
    option(53, [selected === undefined ? DISCOVER : REQUEST]),
    ...(selected === undefined
      ? []
      : [option(50, quad(selected.address)), option(54, quad(selected.server))]),
    option(55, PARAMETERS),
    option(57, [MAX_MESSAGE >> 8, MAX_MESSAGE & 255]),
    option(60, ascii(`PXEClient:Arch:${String(arch).padStart(5, '0')}:UNDI:003016`)),
    option(93, [arch >> 8, arch & 255]),
    option(94, [1, 3, 16]),
    option(97, [0, ...uuid]),
  ].flat();
  const bytes = new Uint8Array(FIXED + COOKIE.length + options.length + 1);
  const view = new DataView(bytes.buffer);
  bytes.set([1, 1, 6, 0]);
  view.setUint32(4, xid);
  view.setUint16(8, seconds);
  // It has no address yet and cannot be reached but by broadcast.
  view.setUint16(10, 0x8000);
  bytes.set(mac, 28);
  bytes.set([...COOKIE, ...options, 255], FIXED);
  return bytes;
}

/** Reads a reply. Undefined where it is none, or none that a ROM could read: what is not understood is not answered. */
export function decodeReply(bytes: Uint8Array): RomReply | undefined {
  if (bytes.length < FIXED + COOKIE.length || bytes[0] !== 2) return undefined;
  if (COOKIE.some((byte, index) => bytes[FIXED + index] !== byte)) return undefined;
  const options = optionsOf(bytes);
  const type = options?.get(53)?.[0];
  if (options === undefined || type === undefined) return undefined;
  const identifier = options.get(54);
  const server = identifier?.length === 4 ? dotted(identifier, 0) : undefined;
  const next = dotted(bytes, 20);
  const file = options.get(67);
  return {
    xid: new DataView(bytes.buffer, bytes.byteOffset).getUint32(4),
    mac: bytes.slice(28, 34),
    type,
    yourAddress: dotted(bytes, 16),
    server,
    nextServer: next === '0.0.0.0' && server !== undefined ? server : next,
    bootFile: text(file ?? bytes.subarray(108, 236)),
  };
}

/** The options by code, the first of each. Undefined where one runs past the end. */
function optionsOf(bytes: Uint8Array): Map<number, Uint8Array> | undefined {
  const options = new Map<number, Uint8Array>();
  let at = FIXED + COOKIE.length;
  while (at < bytes.length && bytes[at] !== 255) {
    const code = bytes[at++]!;
    if (code === 0) continue;
    const length = bytes[at++];
    if (length === undefined || at + length > bytes.length) return undefined;
    if (!options.has(code)) options.set(code, bytes.subarray(at, at + length));
    at += length;
  }
  return options;
}

function option(code: number, value: ArrayLike<number>): number[] {
  return [code, value.length, ...Array.from(value)];
}

function ascii(words: string): number[] {
  return Array.from(words, (letter) => letter.charCodeAt(0));
}

/** Up to its NUL. */
function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return String.fromCharCode(...bytes.subarray(0, end < 0 ? bytes.length : end));
}

function quad(address: string): number[] {
  return address.split('.').map(Number);
}

function dotted(bytes: Uint8Array, at: number): string {
  return bytes.subarray(at, at + 4).join('.');
}
