/**
 * What was seen of a boot, in one form for captures and for the imager's journal, so that the rules are the same. A
 * capture sees the wire (ARP, ICMP, retries); the journal sees reasons, the agent and the disk.
 */
import type { ProgramOptions } from '../journal/attempts.ts';

export interface Seen {
  /** Milliseconds since the epoch. */
  at: number;
  /** Where to look: `packet 12`; absent in the journal, whose events have their time alone. */
  packet?: number;
}

export type AskType = 'discover' | 'request' | 'decline' | 'release' | 'inform' | 'bootp';

/** What a client said over DHCP. */
export interface Ask extends Seen {
  kind: 'ask';
  type: AskType;
  mac: string;
  options: ProgramOptions;
  /** Codes of option 55. */
  asked: number[];
  /** Option 54: whose offer it takes. */
  server?: string;
  /** Option 50, or its own address. */
  address?: string;
  /** The item of the menu it was shown that it asks a boot server for: its name, or its type as `0x8001`. */
  item?: string;
  /** Why the imager did not answer it; the journal knows. */
  unanswered?: string;
  /** The same in the imager's own sentence, where it has one. */
  why?: string;
}

/** What a server said over DHCP. */
export interface Answer extends Seen {
  kind: 'answer';
  type: 'offer' | 'ack' | 'nak';
  mac: string;
  /** Who answers: option 54, else the sender. */
  server: string;
  /** Absent where it offers a boot file and no address (ProxyDHCP). */
  address?: string;
  /** `10.77.0.0/24`, from address and mask. */
  subnet?: string;
  router?: string;
  /** Who has the boot file. */
  nextServer?: string;
  file?: string;
  /** Why it names no boot file; the journal knows. */
  noFile?: string;
  /** How many items the menu has that the firmware is to show. */
  menu?: number;
  /** The item of that menu which this is the answer about. */
  item?: string;
  /** Option 60 of the answer. */
  vendorClass?: string;
  /** In words: option 56, or the imager's own reason. */
  reason?: string;
}

export type TransferEnd =
  /** All of it came. */
  | 'done'
  /** The server said no. */
  | 'refused'
  /** The client said it wants no more: firmware does after it has learnt the size. */
  | 'declined'
  /** It began, and the rest did not come. */
  | 'broken'
  /** Nothing came back. */
  | 'unanswered'
  /** The server had no place for it yet and said nothing, so that the client asks again; the journal knows. */
  | 'waiting'
  /** It goes on where the history ends. */
  | 'open';

/** What a boot file is, by its first bytes. */
export type Content = 'efi-x64' | 'efi-ia32' | 'efi-arm64' | 'efi-other' | 'script' | 'no-efi';

/** One file asked for, over TFTP or HTTP. */
export interface Transfer extends Seen {
  kind: 'transfer';
  protocol: 'tftp' | 'http';
  /** Empty for an HTTP connection that nothing answered; `/` for a request without a name. */
  file: string;
  /** Of HTTP, where it is neither GET nor HEAD. */
  method?: string;
  server: string;
  port: number;
  end: TransferEnd;
  /** Times it was asked for before an answer. */
  requests: number;
  lastAt: number;
  bytes: number;
  size?: number;
  /** TFTP error code or HTTP status that ended it. */
  code?: number;
  /** In the words of whoever ended it. */
  reason?: string;
  /** A TCP reset instead of a connection: nothing listens there. */
  reset?: boolean;
  /** The TCP connection was made; a capture knows. */
  connected?: boolean;
  content?: Content | undefined;
}

/** Somebody asks who has an address on the link. */
export interface ArpQuestion extends Seen {
  kind: 'arp';
  target: string;
  requests: number;
  answered: boolean;
}

/** A host or router said that something cannot be reached. */
export interface Unreachable extends Seen {
  kind: 'unreachable';
  by: string;
  /** ICMP code (RFC 792): 0 network, 1 host, 3 port, 13 prohibited by a filter. */
  code: number;
  to: string;
  port: number;
  protocol: 'udp' | 'tcp' | 'other';
}

/** The first packet of a client that the capture cut short of what it says. */
export interface Cut extends Seen {
  kind: 'cut';
  /** Bytes of the frame that were kept, and bytes its datagram had as sent. */
  kept: number;
  length: number;
}

/** What the agent on the node reported, or that a connection to the imager's agent or disk port was made. */
export interface NodeWord extends Seen {
  kind: 'agent' | 'disk';
  step: string;
  reason?: string;
  detail: Record<string, string | number | boolean>;
  /** Of an agent's last word: when its connection ended. */
  leftAt?: number;
}

/** The imager switched it. */
export interface PowerSwitch extends Seen {
  kind: 'power';
  action: string;
}

export type Observation = Ask | Answer | Transfer | ArpQuestion | Unreachable | Cut | NodeWord | PowerSwitch;
