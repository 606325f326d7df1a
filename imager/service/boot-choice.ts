/** Which boot file a DHCP client is told to load, or why none. Pure. */
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { bootChoice } from '../menus/choice.ts';
import { type Architecture, architectureOf } from '../model/architectures.ts';
import type { NodeConfig } from '../model/config.ts';

/** What a node boots. */
export interface NodeBoot {
  /** By its boot pointer or by the configuration. */
  image: string | null;
  /** The boot file the configuration names for it alone. */
  file: string | undefined;
}

/** What `node` boots by its pointer as last known, its configuration and the image of all nodes. */
export function nodeBoot(
  node: NodeConfig | undefined,
  pointer: BootPointer | null,
  standard: string | undefined,
): NodeBoot {
  return { image: bootChoice(node, pointer, standard).image, file: node?.boot?.file };
}

export interface BootClientFacts {
  /** The node the client is; undefined for a stranger. */
  node?: NodeBoot;
  /** Option 93. */
  arch?: number;
  /** Option 77. */
  userClass?: string;
  /** Option 60. */
  vendorClass?: string;
}

export interface BootOffer {
  /** Boot files that exist, of those under ipxe/. */
  ipxe: ReadonlySet<string>;
  /** Where this imager's HTTP is, e.g. http://10.77.0.1 */
  httpBase: string;
  /** `boot.files` of the configuration: paths or URLs by name of architecture. */
  files: Readonly<Partial<Record<string, string>>>;
}

/** Path or URL, or a sentence that says why there is none. */
export type BootAnswer = { file: string } | { why: string };

const UEFI_X64 = ['ipxe/snponly.efi', 'ipxe/ipxe.efi'] as const;

/** iPXE by what can run it, the first choice first. Debian builds it for x86 BIOS and x86-64 UEFI alone. */
const IPXE_FOR: Readonly<Record<string, readonly string[]>> = {
  bios: ['ipxe/undionly.kpxe'],
  'efi-x64': UEFI_X64,
  'efi-bc': UEFI_X64,
  'http-x64': UEFI_X64,
};

/** ROMs that send no option 93 are older than RFC 4578, and than UEFI. */
const BIOS = 0;

/**
 * Boot ROMs are told to load iPXE, and iPXE the script of its node; the configuration can name
 * other files. Undefined for what asks for none: U-Boot and the agent obey the boot pointer, operating systems run.
 * iPXE calls itself PXEClient too, so its user class is looked at first.
 */
export function bootFileFor(client: BootClientFacts, offer: BootOffer): BootAnswer | undefined {
  const own = client.node?.file;
  if (client.userClass === 'iPXE')
    // Told to load iPXE once more it would do so for ever.
    return own !== undefined && !isIpxe(own) ? { file: own } : scriptFor(client, offer);
  const http = client.vendorClass?.startsWith('HTTPClient') ?? false;
  if (!http && !client.vendorClass?.startsWith('PXEClient')) {
    const named = own ?? offer.files[architectureOf(client.arch ?? -1)?.name ?? ''];
    return named === undefined ? undefined : { file: named };
  }
  const architecture = architectureOf(client.arch ?? BIOS);
  const file = own ?? firmwareFile(architecture, offer);
  if (file === undefined) return { why: whyNone(architecture, client.arch ?? BIOS) };
  return { file: http ? asUrl(file, offer.httpBase) : file };
}

/** One name for all: whose script it is shows when it is loaded, and what that node boots may have changed by then. */
function scriptFor({ node }: BootClientFacts, { httpBase }: BootOffer): BootAnswer {
  if (node === undefined)
    return { why: 'iPXE of a machine that is no node of this cluster: no image for it' };
  return node.image === null
    ? { why: 'no boot pointer of it is known and no boot.image is configured: nothing for iPXE to load' }
    : { file: `${httpBase}/boot.ipxe` };
}

function firmwareFile(
  architecture: Architecture | undefined,
  { ipxe, files }: BootOffer,
): string | undefined {
  if (architecture === undefined) return undefined;
  const { name } = architecture;
  return files[name] ?? IPXE_FOR[name]?.find((file) => ipxe.has(file));
}

function whyNone(architecture: Architecture | undefined, number: number): string {
  if (architecture === undefined)
    return `nothing is known to boot architecture ${number} (option 93), and boot.files has no name for it`;
  const { name, words } = architecture;
  const known = IPXE_FOR[name];
  return known === undefined
    ? `there is no iPXE for ${words} (option 93: ${number}) here: name a boot file as boot.files.${name}`
    : `iPXE for ${words} is not installed (Debian package ipxe): install it, or name a boot file as boot.files.${name}`;
}

/** One of iPXE's own programs, as this imager serves them. */
function isIpxe(file: string): boolean {
  return /(?:^|\/)ipxe\/[^/]+$/.test(file);
}

/** HTTP clients load URLs: a path is one of this imager's. */
function asUrl(file: string, base: string): string {
  return /^https?:\/\//i.test(file) ? file : `${base}/${file.replace(/^\/+/, '')}`;
}

/** `http://ADDRESS`, with the port where it is not HTTP's own. */
export function httpBase(address: string, port: number): string {
  return port === 80 ? `http://${address}` : `http://${address}:${port}`;
}
