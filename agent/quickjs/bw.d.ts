/** The module "bw" of the static binary (agent/quickjs/*.c): thin system calls that throw HostError. */
declare module 'bw' {
  // bw.c
  /** The class of the errors thrown from here: called with the errno's name and a message. Set before anything else. */
  export function setErrorClass(type: new (code: string, message: string) => Error): void;
  /** One turn of the event loop; false ends the program. */
  export function setLoop(turn: () => boolean): void;
  /** Bytes that the engine has from malloc(), and its objects, after a collection of cycles. */
  export function memoryUsage(): { bytes: number; objects: number };
  export function encodeUtf8(text: string): ArrayBuffer;
  /** undefined where the bytes are not well-formed UTF-8. */
  export function decodeUtf8(bytes: Uint8Array): string | undefined;

  // modules.c
  /** What the compiled module `name` of this program exports; it is read and evaluated now, and must be asked for once. */
  export function library(name: string): Record<string, unknown>;

  // files.c
  export function open(path: string, flags: number, mode: number): number;
  export function close(fd: number): void;
  /** Empty at the end, null where a non-blocking descriptor has nothing yet. */
  export function read(fd: number, max: number): ArrayBuffer | null;
  /** Bytes taken, -1 where a non-blocking descriptor takes none now. */
  export function write(fd: number, bytes: Uint8Array): number;
  export function pwrite(fd: number, bytes: Uint8Array, offset: number): void;
  export function fsync(fd: number): void;
  export function readFile(path: string): ArrayBuffer;
  export function readStored(path: string, offset: number, length: number): ArrayBuffer;
  /** The inode flag FS_IMMUTABLE_FL, as chattr +i and -i set it. */
  export function setImmutable(path: string, on: boolean): void;
  export function list(path: string): string[];
  export function readLink(path: string): string;
  export function exists(path: string): boolean;
  /** Permission bits. */
  export function mode(path: string): number;
  /** Device and inode, `DEV:INO`. */
  export function fileId(path: string): string;
  /** One level; an existing directory is no error. */
  export function makeDirectory(path: string): void;
  export function rename(from: string, to: string): void;
  /** A file or an empty directory; none there is no error. */
  export function remove(path: string): void;
  /** flock(2); false where another process has it. */
  export function lock(fd: number): boolean;

  // aside.c
  /** Replaces a file in a process of its own; gives a descriptor that is readable when that has ended. */
  export function replaceAside(path: string, bytes: Uint8Array): number;
  /** Takes that descriptor back, and throws what went wrong. */
  export function endAside(fd: number, path: string): void;

  // watchdog.c
  /** Opens the hardware and starts its feeder: where pulses go, and after how many seconds without one the machine restarts. */
  export function watchdogStart(device: string, seconds: number): [pulses: number, seconds: number];
  /** The agent is well; or it takes its leave, which switches the hardware off. */
  export function watchdogPulse(pulses: number, leave: boolean): void;

  // system.c
  export function mount(source: string, target: string, type: string, flags: number, data: string): void;
  export function changeRoot(path: string): void;
  export function changeDirectory(path: string): void;
  export function loadModule(path: string): void;
  export function setHostName(name: string): void;
  /** Neither waits for memory that is freed by writing to a disk, nor is ended when memory is short; so what it starts. */
  export function becomeIoFlusher(): void;
  /** False where the disks did not take everything within `seconds`. */
  export function settleDisks(seconds: number): boolean;
  export function rebootNow(powerOff: boolean): void;
  export function uptime(): number;
  /** Of the kernel's random numbers: 0 or more, below 1. */
  export function random(): number;
  export function print(line: string): void;
  /** The same on standard error. */
  export function printError(line: string): void;

  // network.c
  export function connectStart(address: string, port: number): number;
  /** Throws the socket's pending error; `peer` is for the message. */
  export function socketError(fd: number, peer: string): void;
  /** Descriptors and wanted events in turn; what came, one number a descriptor. */
  export function poll(watched: number[], milliseconds: number): number[];
  /** A UDP socket that sends and receives by interface `name` alone and has sent `bytes`; readable when an answer is there. */
  export function askStart(name: string, address: string, port: number, bytes: Uint8Array): number;
  export function netlinkOpen(nonBlocking: boolean): number;
  export function netlinkJoin(fd: number, group: number): void;
  /**
   * Fills `target` from byte `from` on, and gives where it is filled to: less than all at the end of the stream, and where
   * nothing came for so long. Nothing else happens in this process meanwhile.
   */
  export function receive(fd: number, target: Uint8Array, from: number, milliseconds: number): number;
  /**
   * Starts a process that relays between the connection `fd` and the descriptor given back, answering reads from `pack`
   * (relay.c); `fd` stays open. Why not, in words, where the pack is none for a disk of `size` bytes.
   */
  export function relay(fd: number, name: string, size: number, pack: Uint8Array): number | string;

  // interface.c
  export function configureInterface(name: string, address: string, mask: string): void;
  /** Its IPv4 address, null where it has none. */
  export function interfaceAddress(name: string): string | null;
  export function setMac(name: string, mac: string): void;
  export function clearInterface(name: string): void;
  export function dropLabel(label: string): void;
  export function addDefaultRoute(gateway: string, name: string): void;
  export function dropDefaultRoutes(name: string): void;
  export function announce(name: string, address: string): void;

  // processes.c
  /** Starts [file, argv0, ...] in a session of its own: its id, and its output where captured (else -1). */
  export function spawn(
    argv: string[],
    environment: string[],
    captured: boolean,
  ): [pid: number, output: number];
  /** As process 1: execs argv in place and returns in a child that goes on from here. */
  export function handOver(argv: string[]): void;
  /** A descriptor that is readable after children ended. */
  export function childSignals(): number;
  /** A descriptor that is readable after SIGTERM or SIGINT, which do nothing else from here on. */
  export function stopSignals(): number;
  export function reap(): [pid: number, code: number] | null;
  export function killGroup(pid: number): void;
  export function processId(): number;
  export function environment(): string[];
  export function programArguments(): string[];
  export function exit(code: number): never;

  // tls.c
  /** Opaque: the client's side of one TLS connection, and of one digest under way. */
  export class TlsSession {
    private constructor();
  }
  export class Sha256 {
    private constructor();
  }
  /** TLS 1.3 with a pre-shared key of 32 bytes over a connected, non-blocking descriptor, which stays the caller's. */
  export function tlsStart(fd: number, identity: string, key: Uint8Array): TlsSession;
  /** 0 once it is done, else what to wait for: POLLIN or POLLOUT. */
  export function tlsHandshake(session: TlsSession): number;
  /** Empty at the end of the stream, null where nothing is there yet. */
  export function tlsRead(session: TlsSession): ArrayBuffer | null;
  /** Bytes taken; -1 where the descriptor takes none now: the same bytes must come next. */
  export function tlsWrite(session: TlsSession, bytes: Uint8Array): number;
  /** Says close_notify, where the descriptor takes it at once. */
  export function tlsEnd(session: TlsSession): void;
  export function sha256Start(): Sha256;
  export function sha256Add(digest: Sha256, bytes: Uint8Array): void;
  /** The 32 bytes; nothing can be added after. */
  export function sha256End(digest: Sha256): ArrayBuffer;
  /** ECDSA over P-256 with SHA-256: an uncompressed point of 65 bytes, a signature of 64 (r and s). */
  export function verify(point: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean;
}
