/**
 * The operating-system calls under the agent's ports. Implemented by agent/quickjs (static binary, PID 1 in an
 * initramfs) and agent/node (full systems, rigs). File calls are synchronous: the agent does one thing at a time.
 */
import type { Ipv4Settings } from '../protocol/adapter-setting.ts';

/** A failed call: `code` is the errno name ('ENOENT'), `message` says which call on what. */
export class HostError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export interface Connection {
  /** Resolves once all bytes are handed to the kernel. Rejects with HostError where the connection is gone. */
  write(bytes: Uint8Array): Promise<void>;
  /** The next bytes received (at least one, at most 64 KiB); undefined at end of stream. One call at a time. */
  read(): Promise<Uint8Array | undefined>;
  close(): void;
}

/** What secures a connection: who this side says it is, and what proves it. */
export interface Secret {
  /** 1 to 128 bytes of UTF-8; goes in clear. */
  identity: string;
  /** 32 bytes that the other side knows too. */
  key: Uint8Array;
}

/** A SHA-256 digest to which bytes are added as they come. */
export interface Digest {
  add(bytes: Uint8Array): void;
  /** The 32 bytes; nothing may be added after. */
  end(): Uint8Array;
}

export interface ProcessResult {
  /** Exit code, or 128 + signal number. */
  code: number;
  /** Standard output and error as they came, at most the last 64 KiB. */
  output: string;
  timedOut: boolean;
}

export interface NbdAttachment {
  /** Number of the device: 0 is /dev/nbd0. */
  index: number;
  sizeBytes: number;
  blockSize: number;
  /** Transmission flags as negotiated (NBD protocol, "Transmission flags"). */
  flags: number;
  /** Seconds the kernel holds requests back while there is no live connection. */
  deadTimeoutSeconds: number;
}

/** Blocks of a disk as they are now: what agent/linux/pack.ts fetched. */
export interface DiskPack {
  /** The disk's name. */
  name: string;
  bytes: Uint8Array;
}

/** A hardware watchdog that is running: without a pulse for about `seconds` it restarts the machine. */
export interface Watchdog {
  readonly seconds: number;
  /** This process is well. */
  pulse(): void;
  /** Switches it off, for a restart or an end in order. */
  stop(): void;
}

export interface Host {
  readonly runtime: 'quickjs' | 'node';
  readFile(path: string): Uint8Array;
  /** Reads from a device past the page cache (O_DIRECT where it can), so that it proves what is stored. */
  readStored(path: string, offset: number, length: number): Uint8Array;
  /** Writes in place and returns once durable (pwrite, fsync). */
  writeStored(path: string, offset: number, bytes: Uint8Array): void;
  /** Replaces a file: write beside it, fsync, rename, fsync the directory. `mode` in octal, 0o644 by default. */
  replaceFile(path: string, bytes: Uint8Array, mode?: number): void;
  /**
   * As replaceFile(), for its owner's eyes alone (mode 0600), while this process goes on: where the disk is away, only this
   * waits. Resolves once durable. One at a time for each path.
   */
  replaceFileAside(path: string, bytes: Uint8Array): Promise<void>;
  /**
   * Writes a UEFI variable's file (efivarfs): all bytes in one write(2), the file made where there is none, and the flag
   * `immutable`, which the kernel gives such files, taken off meanwhile.
   */
  writeVariable(path: string, bytes: Uint8Array): void;
  /**
   * Hands a character device one request in one write(2), and gives what one read(2) then has of its answer, at most 4096
   * bytes: TPMs. Waits for as long as the device takes.
   */
  transact(path: string, request: Uint8Array): Uint8Array;
  list(path: string): string[];
  /** What a symbolic link says, as it stands there. */
  readLink(path: string): string;
  exists(path: string): boolean;
  /** Permission bits of a file (inode(7)). */
  mode(path: string): number;
  /** What one file has under all its names, and no other file: its device and its inode (inode(7)). Of a link, that of its target. */
  fileId(path: string): string;
  makeDirectory(path: string): void;
  /** A file, or a folder that is empty. Nothing happens where there is none. */
  remove(path: string): void;
  /** Returns once the names in a folder are durable. */
  syncDirectory(path: string): void;
  /**
   * Takes the lock on a file (flock(2)), which is made where there is none, or on a folder. Gives what lets go of it, as the end of
   * the process does; undefined where another process has it.
   */
  lock(path: string): (() => void) | undefined;
  mount(source: string, target: string, type: string, options: string): void;
  /** Makes `newRoot` (a mount point) the root of this process and its children; moves /dev, /proc and /sys along. */
  switchRoot(newRoot: string): void;
  /** No-op where the module is loaded already, or is for what this machine has not. */
  loadModule(path: string): void;
  /** Brings an interface up with an IPv4 address; `gateway` adds a default route. */
  configureInterface(name: string, address: string, prefix: number, gateway?: string): void;
  /**
   * Gives an interface that is up a hardware address. Its driver may ask for it to be down meanwhile: then its routes but those
   * to its own networks are gone. Throws HostError where the driver takes none, or not this one.
   */
  setMac(name: string, mac: string): void;
  /**
   * Gives an interface this IPv4 address in the place of those it has, with a default route where there is a gateway; none where
   * `network` is undefined. Who is near hears of it (RFC 5227 section 3), where the host can tell them. `kept`, one that it had,
   * stays beside it as a host address without a network: what is connected from there goes on, and nothing new is.
   */
  readdress(name: string, network: Ipv4Settings | undefined, kept?: string): void;
  /** Takes away what readdress() kept. Nothing happens where it is gone. */
  dropAddress(name: string, kept: string): void;
  /** The interface's IPv4 address; undefined where it has none. */
  addressOf(name: string): string | undefined;
  /**
   * Sends a datagram out of an interface, whatever the routes say, and resolves with the first that comes back (at most 1500
   * bytes), undefined where none does within `timeoutMs`. Rejects with HostError, ECONNREFUSED where nobody has the port.
   */
  ask(
    name: string,
    address: string,
    port: number,
    bytes: Uint8Array,
    timeoutMs: number,
  ): Promise<Uint8Array | undefined>;
  setHostName(name: string): void;
  connect(address: string, port: number, timeoutMs: number): Promise<Connection>;
  /**
   * TLS 1.3 over an open connection, as the client, with a pre-shared key (RFC 8446 section 4.2.11) and an ephemeral X25519
   * exchange, TLS_CHACHA20_POLY1305_SHA256 alone; no certificate is taken. The connection is the secured one's from then
   * on. Rejects with HostError and closes it: EKEYREJECTED where the other side has not this key for this identity (its alert is
   * illegal_parameter, which OpenSSL says of a wrong binder, decrypt_error, or unknown_psk_identity: RFC 8446 section 6.2), EPROTO
   * where it speaks no such TLS, ETIMEDOUT where it has not ended the handshake within `timeoutMs`. Reading rejects where a record
   * was changed on its way. That a stream was cut off is its end: no message ends with the connection.
   */
  secure(connection: Connection, secret: Secret, timeoutMs: number): Promise<Connection>;
  startSha256(): Digest;
  sha256(bytes: Uint8Array): Uint8Array;
  /**
   * True where the key of `point` (P-256, uncompressed, 65 bytes) signed `bytes`: ECDSA with SHA-256 (FIPS 186-5), r and s
   * of 32 bytes each. False for anything else, whatever it is.
   */
  verify(point: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean;
  /**
   * Fills `target` from byte `from` on with what the connection gives next; resolves with where it is filled to: less
   * than all at the end of the stream, and where nothing came for `silenceMs`. For long transfers while nothing else
   * goes on: some hosts wait for it.
   */
  receive(connection: Connection, target: Uint8Array, from: number, silenceMs: number): Promise<number>;
  /**
   * For a process that serves a disk in use, whose memory must never depend on that disk: from here on it does not wait for
   * memory that is freed by writing to a disk, and is not what the kernel ends when memory is short. What it starts inherits
   * that. Throws HostError where it may not; what could be had of the two it has then.
   */
  becomeIoFlusher(): void;
  /** Gives an open, negotiated connection to the kernel as /dev/nbd`index`. The connection is the kernel's from then on. */
  nbdAttach(connection: Connection, attachment: NbdAttachment): void;
  /**
   * As nbdAttach(), where a process in between answers reads from `pack` until the boot is over; then it hangs up, and
   * the link is dead. Gives why it could not be done, and the connection is open as before then.
   */
  nbdAttachPacked(connection: Connection, attachment: NbdAttachment, pack: DiskPack): string | undefined;
  /** Replaces the dead connection of an attached device; queued requests are sent again by the kernel. */
  nbdReattach(connection: Connection, attachment: NbdAttachment): void;
  /** Resolves when the kernel reports the device's connection dead. */
  nbdLinkDead(index: number): Promise<void>;
  run(argv: string[], options: { timeoutMs: number; env?: Record<string, string> }): Promise<ProcessResult>;
  /** Starts another copy of the agent's own executable that outlives this one's root switch and init hand-over. */
  startSelf(args: string[]): void;
  /** Process 1 becomes `argv` (the disk's init), this agent goes on as its child. No-op hand-over where not PID 1: starts it as a child. */
  handOverInit(argv: string[]): void;
  /**
   * Starts the hardware watchdog at `device` with a time of `seconds`, or what its driver makes of it. It goes on over a root
   * switch and a hand-over, and while this process waits for its disk. Throws HostError, ENOENT where there is none.
   */
  startWatchdog(device: string, seconds: number): Watchdog;
  /**
   * Flushes file systems, for ten seconds at most (a disk may be away for good), and restarts or stops the machine.
   * Does not return on success.
   */
  reboot(action: 'reboot' | 'poweroff'): void;
  /** Seconds since the machine started (CLOCK_BOOTTIME). */
  uptime(): number;
  sleep(milliseconds: number): Promise<void>;
  /** A random number, 0 or more and below 1, that another node has not got: not of the time it was switched on. */
  random(): number;
  /** Resolves when this process is told to end (SIGTERM, SIGINT). From the call on these no longer end it by themselves. */
  stopped(): Promise<void>;
  /** Of this process; 1: the kernel has started it, or a container. */
  readonly processId: number;
  /** One line on the console: standard output. */
  print(line: string): void;
  /** One line on standard error: to who started this process, why it does not do what it was told. */
  complain(line: string): void;
  exit(code: number): never;
}
