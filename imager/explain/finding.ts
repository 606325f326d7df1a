/** What a rule finds, and the words all rules share. Pure. */
import type { Ask, Seen, Transfer } from './observation.ts';
import type { Story } from './story.ts';

export interface Finding {
  /** One line: what is wrong. */
  cause: string;
  /** Where it shows, with packet numbers and times. */
  evidence: string[];
  /** What to do. */
  advice: string[];
}

/** Undefined where the rule's failure is not this story's. */
export type Rule = (story: Story) => Finding | undefined;

/** `packet 12 (+3.21 s)` in a capture, `+3.21 s` in the journal. */
export function where(story: Story, { at, packet }: { at: number; packet?: number }): string {
  const time = `+${((at - story.startedAt) / 1000).toFixed(2)} s`;
  return packet === undefined ? time : `packet ${packet} (${time})`;
}

/** The program that asked, in words: `x86-64 UEFI (arch 7)`, `iPXE on x86 BIOS (arch 0)`. */
export function programWords({ architecture, program, isLoader }: Story): string {
  const { arch, userClass, vendorClass = '' } = program;
  const firmware = arch === undefined ? undefined : `${architecture?.words ?? 'firmware'} (arch ${arch})`;
  const loader = userClass === 'iPXE' ? 'iPXE' : vendorClass.startsWith('U-Boot') ? 'U-Boot' : undefined;
  if (isLoader && loader !== undefined) return firmware === undefined ? loader : `${loader} on ${firmware}`;
  return firmware ?? (vendorClass === '' ? 'a client that does not say what it is' : vendorClass);
}

/** `TFTP server 10.0.0.1`. */
export function serverWords({ protocol, server, port }: Transfer): string {
  const usual = protocol === 'tftp' ? 69 : 80;
  return `${protocol.toUpperCase()} server ${server}${port === usual ? '' : `:${port}`}`;
}

/** `boot.ipxe`; `POST /a` of a request that does not just ask for the file. */
export function fileWords({ file, method }: Transfer): string {
  return method === undefined ? file || 'a connection' : `${method} ${file}`;
}

export function times(count: number, what: string): string {
  return count === 1 ? `1 ${what}` : `${count} ${what}s`;
}

/** What the client asked to be told of booting: `It asked for options 66 and 67 in packet 1 (+0.00 s)`. */
export function askedWords(story: Story): string[] {
  const ask: Ask | undefined = story.asks.findLast(({ asked }) => asked.length > 0);
  const boot = ask?.asked.filter((code) => [43, 60, 66, 67, 150, 175, 209, 210].includes(code)) ?? [];
  if (ask === undefined || boot.length === 0) return [];
  return [`it asked for option${boot.length === 1 ? '' : 's'} ${boot.join(', ')}: ${where(story, ask)}`];
}

/** Where the client was told what to boot. */
export function toldWords(story: Story): string[] {
  const { by, file, nextServer } = story.told;
  if (by === undefined || file === undefined) return [];
  return [`${by.server} told it to load ${file} from ${nextServer}: ${where(story, by)}`];
}

/** The transfers that count: those a client declined and did again are no failures, and what follows success is probing. */
export function lastTransfer(story: Story): Transfer | undefined {
  return story.transfers.findLast(({ end }) => end !== 'declined') ?? story.transfers.at(-1);
}

/** What was refused after the last transfer that went well, oldest first. */
export function lastRefusals({ transfers }: Story): Transfer[] {
  const good = transfers.findLastIndex(({ end }) => end === 'done');
  return transfers.slice(good + 1).filter(({ end }) => end === 'refused');
}

/** A client's next packet may be the good news: boot ROMs ask again after 4 seconds (PXE specification 2.1). */
const SOON_MS = 5000;
/** iPXE has its address, and goes on only when it has looked for an IPv6 router for 16 seconds, or found one. */
const ROUTER_MS = 20_000;

/** What an observation says of time, and of DHCP. */
type Heard = Seen & { type?: string; lastAt?: number };

/** Milliseconds for which a client that was last heard of by `last` may well be silent. */
export function patienceOf({ program }: Story, last: Heard): number {
  return last.type === 'ack' && program.userClass === 'iPXE' ? ROUTER_MS : SOON_MS;
}

/** ` (the capture ends there)` where it does, so soon after `last` that the node may have gone on. */
export function endWords(story: Story, last: Heard): string {
  const { source, endAt, over } = story;
  const soon = endAt - (last.lastAt ?? last.at) < patienceOf(story, last);
  return source === 'capture' && !over && soon ? ' (the capture ends there)' : '';
}

/** What to do about a capture that ends too early to tell. */
export const CAPTURE_ON = 'capture on until nothing more comes: what follows shows how it went on';

/** True where an address is of the network `10.0.0.0/24`. */
export function isIn(subnet: string, address: string): boolean {
  const [network = '', bits = '32'] = subnet.split('/');
  const size = 2 ** (32 - Number(bits));
  return Math.floor(numberOf(network) / size) === Math.floor(numberOf(address) / size);
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** A file's name without the server of a URL and leading slashes. */
export function pathOf(file: string): string {
  return file.replace(/^[a-z]+:\/\/[^/]*/i, '').replace(/^\/+/, '');
}

/** The name at the end of a path. */
export function nameOf(file: string): string {
  return pathOf(file).split('/').at(-1) ?? '';
}
