/**
 * A PXE ROM without hardware: DHCP four-way, then one file over TFTP. It owns no socket and no timer: packets come in,
 * packets go out through its port, and `wakeAt` says when it wants to be called next. Times in milliseconds.
 *
 *   off --power on--> discover --offer--> request --ACK--> size --OACK--> load --last block--> booted
 *       discover, request: after 4, 8 and 16 s again, 32 s later failed        size, load: every 4 s, six times in all
 */
import { ACK, decodeReply, encodeRequest, NAK, OFFER, type RomIdentity, type RomReply } from './dhcp-wire.ts';
import { decodeTftp, encodeAck, encodeError, encodeRead } from './tftp-wire.ts';

/**
 * How long each of four tries waits for an answer: PXE 2.1's times as EDK2 (mPxeDhcpTimeout) and iPXE (config/dhcp.h) quote
 * them; iPXE itself begins with 1 s. EDK2 collects offers for the whole of a wait, this ROM takes the first good one: a
 * storm is the denser for it.
 */
const DHCP_WAITS_MS = [4000, 8000, 16_000, 32_000];
/** As EDK2's PXE driver has it (PXEBC_MTFTP_TIMEOUT, PXEBC_MTFTP_RETRIES). */
export const TFTP_WAIT_MS = 4000;
const TFTP_TRIES = 6;

const WELL_KNOWN_PORT = 69;

/** The machine around the ROM. */
export interface FirmwarePort {
  /** Milliseconds, never going back. */
  now(): number;
  /** To the broadcast address, from port 68 to port 67. */
  sendDhcp(bytes: Uint8Array): void;
  /** To `port` of the boot server, from the address and a port of its own for this transfer. */
  sendTftp(bytes: Uint8Array, to: { address: string; port: number }): void;
  /** The address it has from now on. A new transfer begins: one with a port of its own. */
  beginTransfer(address: string): void;
  /** File content, in order. The view is good until this returns. */
  store(data: Uint8Array, offset: number): void;
}

export interface TftpWishes {
  blksize: number;
  /** 1: not asked for. */
  windowsize: number;
}

type Phase =
  | { name: 'off' }
  | { name: 'discover'; tries: number; since: number }
  | { name: 'request'; tries: number; since: number; offer: RomReply & { server: string } }
  | { name: 'size' | 'load'; tries: number; lease: RomReply; transfer: Transfer }
  | { name: 'booted'; bytes: number }
  | { name: 'failed'; why: string };

interface Transfer {
  /** The server's transfer id, once known. */
  port: number | undefined;
  blksize: number;
  windowsize: number;
  /** Blocks received in order. */
  block: number;
  /** The block last acknowledged. */
  acknowledged: number;
  /** The block whose successor was last missed. */
  complained: number;
  bytes: number;
  /** What to send again when nothing comes. */
  latest: Uint8Array;
}

export class SimulatedFirmware {
  /** When `onTime` wants to be called. Infinity: never. */
  wakeAt = Number.POSITIVE_INFINITY;
  readonly #identity: RomIdentity;
  readonly #xid: number;
  readonly #wishes: TftpWishes;
  readonly #port: FirmwarePort;
  #phase: Phase = { name: 'off' };

  /** `xid` (32 bits) is that of all its DHCP messages. */
  constructor(options: { identity: RomIdentity; xid: number; wishes: TftpWishes; port: FirmwarePort }) {
    this.#identity = options.identity;
    this.#xid = options.xid;
    this.#wishes = options.wishes;
    this.#port = options.port;
  }

  get phase(): Readonly<Phase> {
    return this.#phase;
  }

  powerOn(): void {
    this.#phase = { name: 'discover', tries: 0, since: this.#port.now() };
    this.#ask();
  }

  /** A message that came to port 68; others' are told by xid and MAC. */
  onDhcp(bytes: Uint8Array): void {
    const phase = this.#phase;
    if (phase.name !== 'discover' && phase.name !== 'request') return;
    const reply = decodeReply(bytes);
    if (reply === undefined || reply.xid !== this.#xid) return;
    if (reply.mac.some((byte, index) => byte !== this.#identity.mac[index])) return;
    if (phase.name === 'discover') {
      // A ROM boots from the network or not at all: an offer without a boot file is none.
      if (reply.type !== OFFER || reply.bootFile === '' || reply.server === undefined) return;
      this.#phase = {
        name: 'request',
        tries: 0,
        since: phase.since,
        offer: { ...reply, server: reply.server },
      };
      this.#ask();
    } else if (reply.type === NAK) this.powerOn();
    else if (reply.type === ACK && reply.server === phase.offer.server) this.#begin('size', reply);
  }

  /** A datagram to the port of the present transfer. */
  onTftp(bytes: Uint8Array, from: { address: string; port: number }): void {
    const phase = this.#phase;
    if (phase.name !== 'size' && phase.name !== 'load') return;
    const { transfer, lease } = phase;
    if (from.address !== lease.nextServer || (transfer.port !== undefined && from.port !== transfer.port))
      return;
    const packet = decodeTftp(bytes);
    if (packet === undefined) return;
    transfer.port = from.port;
    if (packet.type === 'error') this.#fail(`TFTP error ${packet.code}: ${packet.message}`);
    else if (packet.type === 'data') this.#onData(phase, packet.block, packet.data);
    else if (phase.name === 'size') {
      // It wanted to know the size alone: what it asked for is declined, as EDK2 and Intel's ROMs do (RFC 2347).
      this.#send(phase, encodeError(8, 'only the size was wanted'));
      this.#begin('load', lease);
    } else if (transfer.block === 0) {
      transfer.blksize = Number(packet.options.blksize ?? 512);
      transfer.windowsize = Number(packet.options.windowsize ?? 1);
      this.#acknowledge(phase);
    }
  }

  /** The time that `wakeAt` names has come. */
  onTime(): void {
    const phase = this.#phase;
    if (phase.name === 'discover' || phase.name === 'request') {
      if (++phase.tries < DHCP_WAITS_MS.length) this.#ask();
      else this.#fail(phase.name === 'discover' ? 'no offer with a boot file' : 'no answer to its request');
    } else if (phase.name === 'size' || phase.name === 'load') {
      if (++phase.tries < TFTP_TRIES) this.#send(phase, phase.transfer.latest);
      else this.#fail(`TFTP time-out after block ${phase.transfer.block}`);
    }
  }

  #ask(): void {
    const phase = this.#phase;
    if (phase.name !== 'discover' && phase.name !== 'request') return;
    const now = this.#port.now();
    const seconds = Math.floor((now - phase.since) / 1000);
    const selected =
      phase.name === 'request'
        ? { selected: { address: phase.offer.yourAddress, server: phase.offer.server } }
        : {};
    this.wakeAt = now + DHCP_WAITS_MS[phase.tries]!;
    this.#port.sendDhcp(encodeRequest(this.#identity, { xid: this.#xid, seconds, ...selected }));
  }

  #begin(name: 'size' | 'load', lease: RomReply): void {
    const { blksize, windowsize } = this.#wishes;
    const wishes = { tsize: 0, blksize, ...(windowsize > 1 ? { windowsize } : {}) };
    const latest = encodeRead(lease.bootFile, wishes);
    const transfer: Transfer = {
      port: undefined,
      blksize: 512,
      windowsize: 1,
      block: 0,
      acknowledged: 0,
      complained: -1,
      bytes: 0,
      latest,
    };
    const phase = { name, tries: 0, lease, transfer };
    this.#phase = phase;
    this.#port.beginTransfer(lease.yourAddress);
    this.#send(phase, latest);
  }

  /** RFC 7440 section 4: what comes in sequence is taken, a gap is answered with the last block that did. */
  #onData(phase: Phase & { name: 'size' | 'load' }, block: number, data: Uint8Array): void {
    const { transfer } = phase;
    if (block !== ((transfer.block + 1) & 0xffff)) {
      // What comes once more says that an ACK was lost (EDK2 answers each). One complaint for each gap, though: what
      // follows it in the window says the same.
      const ahead = (block - transfer.block) & 0xffff;
      const gap = ahead > 0 && ahead <= transfer.windowsize;
      if (!gap || transfer.complained !== transfer.block) this.#acknowledge(phase);
      if (gap) transfer.complained = transfer.block;
      return;
    }
    this.#port.store(data, transfer.bytes);
    transfer.block++;
    transfer.bytes += data.length;
    phase.tries = 0;
    this.wakeAt = this.#port.now() + TFTP_WAIT_MS;
    const ended = data.length < transfer.blksize;
    if (ended || transfer.block - transfer.acknowledged >= transfer.windowsize) this.#acknowledge(phase);
    if (ended) {
      this.wakeAt = Number.POSITIVE_INFINITY;
      this.#phase = { name: 'booted', bytes: transfer.bytes };
    }
  }

  #acknowledge(phase: Phase & { name: 'size' | 'load' }): void {
    const { transfer } = phase;
    transfer.acknowledged = transfer.block;
    transfer.latest = encodeAck(transfer.block);
    this.#send(phase, transfer.latest);
  }

  #send({ lease, transfer }: Phase & { name: 'size' | 'load' }, bytes: Uint8Array): void {
    this.wakeAt = this.#port.now() + TFTP_WAIT_MS;
    this.#port.sendTftp(bytes, { address: lease.nextServer, port: transfer.port ?? WELL_KNOWN_PORT });
  }

  #fail(why: string): void {
    this.wakeAt = Number.POSITIVE_INFINITY;
    this.#phase = { name: 'failed', why };
  }
}
