/** TFTP transfers in a capture, from their requests to their ends. */
import { decodePacket, ERROR_CODE, type Packet as TftpPacket, TftpPacketError } from '../tftp/codec.ts';
import { contentOf } from './content.ts';
import type { Transfer } from './observation.ts';
import type { UdpPacket } from './packet.ts';

const TFTP_PORT = 69;
const BLOCK_SPACE = 65_536;
/** Transfers of one capture; past this no new ones are followed. */
const MAX_TRANSFERS = 10_000;

interface Followed {
  transfer: Transfer;
  blksize: number;
  /** Highest block that was seen, counted without wrapping. */
  block: number;
  last: boolean;
  /** The client has acknowledged that block; before the first one, the offer of options. */
  acknowledged: boolean;
}

export class TftpTransfers {
  /** By client address and port (RFC 1350 section 4). */
  readonly #open = new Map<string, Followed>();
  readonly #all: { client: string; transfer: Transfer }[] = [];
  /** The latest of each client's. */
  readonly #latest = new Map<string, Transfer>();

  /** Takes a packet; the client's address where that packet was cut short of what it says. */
  take(packet: UdpPacket): string | undefined {
    if (packet.port === TFTP_PORT) {
      if (packet.kept !== undefined) return packet.from;
      this.#request(packet);
      return undefined;
    }
    const fromServer = this.#open.get(`${packet.to} ${packet.port}`);
    const fromClient = this.#open.get(`${packet.from} ${packet.sourcePort}`);
    const known = fromServer ?? fromClient;
    if (known === undefined) return undefined;
    const message = decoded(packet.payload);
    // The length of data is told by its datagram.
    if (packet.kept !== undefined && message?.type !== 'data')
      return fromServer === undefined ? packet.from : packet.to;
    if (message === undefined) return undefined;
    known.transfer.lastAt = packet.at;
    if (fromServer !== undefined) fromTheServer(known, packet, message);
    else fromTheClient(known, message);
    return undefined;
  }

  /** True where a file was asked for from this address. */
  isClient(address: string): boolean {
    return this.#latest.has(address);
  }

  /** All transfers with their client's address, in the order of their first requests. */
  all(): { client: string; transfer: Transfer }[] {
    return this.#all;
  }

  #request(packet: UdpPacket): void {
    const message = decoded(packet.payload);
    if (message?.type !== 'rrq') return;
    const key = `${packet.from} ${packet.sourcePort}`;
    const same = this.#open.get(key);
    if (same?.transfer.file === message.file && same.transfer.end === 'unanswered') {
      same.transfer.requests++;
      same.transfer.lastAt = packet.at;
      return;
    }
    const again = this.#latest.get(packet.from);
    // Some clients take a new port for each try.
    if (again?.end === 'unanswered' && again.file === message.file && again.server === packet.to) {
      again.requests++;
      again.lastAt = packet.at;
      this.#open.set(key, followed(again));
      return;
    }
    if (this.#all.length >= MAX_TRANSFERS) return;
    const transfer: Transfer = {
      kind: 'transfer',
      protocol: 'tftp',
      at: packet.at,
      packet: packet.frame,
      lastAt: packet.at,
      file: message.file,
      server: packet.to,
      port: TFTP_PORT,
      end: 'unanswered',
      requests: 1,
      bytes: 0,
    };
    this.#open.set(key, followed(transfer));
    this.#latest.set(packet.from, transfer);
    this.#all.push({ client: packet.from, transfer });
  }
}

function followed(transfer: Transfer): Followed {
  return { transfer, blksize: 512, block: 0, last: false, acknowledged: false };
}

function decoded(payload: Uint8Array): TftpPacket | undefined {
  try {
    return decodePacket(payload);
  } catch (error) {
    if (error instanceof TftpPacketError) return undefined;
    throw error;
  }
}

function fromTheServer(followed: Followed, packet: UdpPacket, message: TftpPacket): void {
  const { transfer } = followed;
  if (transfer.end === 'unanswered') transfer.end = 'open';
  switch (message.type) {
    case 'oack': {
      const size = Number(message.options.get('tsize'));
      const blksize = Number(message.options.get('blksize'));
      if (Number.isInteger(size) && size > 0) transfer.size = size;
      if (Number.isInteger(blksize) && blksize >= 8) followed.blksize = blksize;
      return;
    }
    case 'data': {
      // Numbers wrap at 65,536. Blocks between this and the last one seen went past the capture, later ones are repeats.
      const ahead = (message.block + BLOCK_SPACE - (followed.block % BLOCK_SPACE)) % BLOCK_SPACE;
      if (ahead === 0 || ahead > BLOCK_SPACE / 2 || followed.last) return;
      const length = packet.length - 4;
      if (followed.block === 0 && ahead === 1) transfer.content = contentOf(message.data);
      followed.block += ahead;
      transfer.bytes = (followed.block - 1) * followed.blksize + length;
      followed.last = length < followed.blksize;
      // Loaders start what they have without another word; to who has answered nothing before, nothing may have come.
      if (followed.last && followed.acknowledged && ahead === 1 && transfer.end === 'open')
        transfer.end = 'done';
      followed.acknowledged = false;
      return;
    }
    case 'error':
      if (transfer.end !== 'open' || message.code === ERROR_CODE.unknownTransferId) return;
      transfer.end = 'refused';
      transfer.code = message.code;
      transfer.reason = message.message;
      return;
  }
}

function fromTheClient(followed: Followed, message: TftpPacket): void {
  const { transfer, last, block, acknowledged } = followed;
  if (message.type === 'ack' && message.block === block % BLOCK_SPACE) {
    followed.acknowledged = true;
    if (last && transfer.end === 'open') transfer.end = 'done';
  }
  const ends = transfer.end === 'open' || (transfer.end === 'done' && !acknowledged);
  if (message.type === 'error' && ends) {
    transfer.end = 'declined';
    transfer.code = message.code;
    transfer.reason = message.message;
  }
}
