/** The agent's host on QuickJS: one static binary, process 1 of an initramfs or any process. */
import * as bw from 'bw';
import type {
  Connection,
  Digest,
  DiskPack,
  Host,
  NbdAttachment,
  ProcessResult,
  Secret,
  Watchdog,
} from '../linux/host.ts';
import { HostError } from '../linux/host.ts';
import type { Ipv4Settings } from '../protocol/adapter-setting.ts';
import { connect, SocketConnection } from './connection.ts';
import { ask } from './datagram.ts';
import * as files from './files.ts';
import * as interfaces from './interfaces.ts';
import { POLLIN, startTimer, watch } from './loop.ts';
import { parseMountOptions } from './mount-options.ts';
import { NbdDevices } from './nbd.ts';
import { Processes } from './processes.ts';

/** A disk that is not written by then is taken to be away for good. */
const SETTLE_SECONDS = 10;
const MS_MOVE = 0x2000;

export class QuickjsHost implements Host {
  readonly processId = bw.processId();
  readonly runtime = 'quickjs';
  readonly #processes = new Processes();
  readonly #nbd = new NbdDevices();

  constructor() {
    if (this.processId === 1) this.#processes.adoptOrphans();
  }

  readFile(path: string): Uint8Array {
    return new Uint8Array(bw.readFile(path));
  }

  readStored(path: string, offset: number, length: number): Uint8Array {
    return new Uint8Array(bw.readStored(path, offset, length));
  }

  writeStored(path: string, offset: number, bytes: Uint8Array): void {
    files.writeStored(path, offset, bytes);
  }

  replaceFile(path: string, bytes: Uint8Array, mode = 0o644): void {
    files.replaceFile(path, bytes, mode);
  }

  replaceFileAside(path: string, bytes: Uint8Array): Promise<void> {
    this.#processes.adoptOrphans();
    return files.replaceFileAside(path, bytes);
  }

  writeVariable(path: string, bytes: Uint8Array): void {
    files.writeVariable(path, bytes);
  }

  transact(path: string, request: Uint8Array): Uint8Array {
    return files.transact(path, request);
  }

  list(path: string): string[] {
    return bw.list(path).sort();
  }

  readLink(path: string): string {
    return bw.readLink(path);
  }

  exists(path: string): boolean {
    return bw.exists(path);
  }

  mode(path: string): number {
    return bw.mode(path);
  }

  fileId(path: string): string {
    return bw.fileId(path);
  }

  makeDirectory(path: string): void {
    for (let at = path.indexOf('/', 1); at > 0; at = path.indexOf('/', at + 1))
      bw.makeDirectory(path.slice(0, at));
    bw.makeDirectory(path);
  }

  remove(path: string): void {
    bw.remove(path);
  }

  syncDirectory(path: string): void {
    files.syncDirectory(path);
  }

  lock(path: string): (() => void) | undefined {
    return files.lock(path);
  }

  mount(source: string, target: string, type: string, options: string): void {
    const { flags, data } = parseMountOptions(options);
    bw.mount(source, target, type, flags, data);
  }

  switchRoot(newRoot: string): void {
    for (const name of ['dev', 'proc', 'sys']) {
      this.makeDirectory(`${newRoot}/${name}`);
      moveMount(`/${name}`, `${newRoot}/${name}`);
    }
    bw.changeDirectory(newRoot);
    bw.mount('.', '/', '', MS_MOVE, '');
    bw.changeRoot('.');
    bw.changeDirectory('/');
  }

  loadModule(path: string): void {
    bw.loadModule(path);
  }

  configureInterface(name: string, address: string, prefix: number, gateway?: string): void {
    interfaces.configureInterface(name, address, prefix, gateway);
  }

  setMac(name: string, mac: string): void {
    bw.setMac(name, mac);
  }

  readdress(name: string, network: Ipv4Settings | undefined, kept?: string): void {
    interfaces.readdress(name, network, kept);
  }

  dropAddress(name: string): void {
    interfaces.dropAddress(name);
  }

  addressOf(name: string): string | undefined {
    return bw.interfaceAddress(name) ?? undefined;
  }

  ask(
    name: string,
    address: string,
    port: number,
    bytes: Uint8Array,
    timeoutMs: number,
  ): Promise<Uint8Array | undefined> {
    return ask(name, { address, port }, bytes, timeoutMs);
  }

  setHostName(name: string): void {
    bw.setHostName(name);
  }

  connect(address: string, port: number, timeoutMs: number): Promise<Connection> {
    return connect(address, port, timeoutMs);
  }

  async secure(connection: Connection, secret: Secret, timeoutMs: number): Promise<Connection> {
    await ours(connection).secure(secret, timeoutMs);
    return connection;
  }

  startSha256(): Digest {
    const digest = bw.sha256Start();
    return {
      add: (bytes) => bw.sha256Add(digest, bytes),
      end: () => new Uint8Array(bw.sha256End(digest)),
    };
  }

  sha256(bytes: Uint8Array): Uint8Array {
    const digest = this.startSha256();
    digest.add(bytes);
    return digest.end();
  }

  verify(point: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
    return bw.verify(point, bytes, signature);
  }

  async receive(
    connection: Connection,
    target: Uint8Array,
    from: number,
    silenceMs: number,
  ): Promise<number> {
    // A turn of the loop for each packet would take longer than the packet on a slow node.
    return bw.receive(ours(connection).descriptor, target, from, silenceMs);
  }

  becomeIoFlusher(): void {
    bw.becomeIoFlusher();
  }

  nbdAttach(connection: Connection, attachment: NbdAttachment): void {
    this.#nbd.attach(ours(connection), attachment);
  }

  nbdAttachPacked(connection: Connection, attachment: NbdAttachment, pack: DiskPack): string | undefined {
    // The relay's end is nobody's business, but it must not stay a zombie.
    this.#processes.adoptOrphans();
    return this.#nbd.attachPacked(ours(connection), attachment, pack);
  }

  nbdReattach(connection: Connection, attachment: NbdAttachment): void {
    this.#nbd.reattach(ours(connection), attachment);
  }

  nbdLinkDead(index: number): Promise<void> {
    return this.#nbd.linkDead(index);
  }

  run(argv: string[], options: { timeoutMs: number; env?: Record<string, string> }): Promise<ProcessResult> {
    return this.#processes.run(argv, options);
  }

  startSelf(args: string[]): void {
    // systemd spares processes of the initramfs whose name starts with @ when it ends the others at shutdown
    // (https://systemd.io/ROOT_STORAGE_DAEMONS): the disk must outlive the services that are on it.
    const argv = ['@agent', ...args];
    this.#processes.start(bw.exists('/proc/self/exe') ? '/proc/self/exe' : '/init', argv);
  }

  handOverInit(argv: string[]): void {
    const [file] = argv;
    if (file === undefined) throw new HostError('EINVAL', 'hand over: no program named');
    if (this.processId !== 1) {
      this.#processes.start(file, argv);
      return;
    }
    // Their ends would be told to the new process 1.
    if (this.#processes.busy)
      throw new HostError('EBUSY', `hand over to ${file}: programs are still running`);
    bw.handOver(argv);
  }

  startWatchdog(device: string, wanted: number): Watchdog {
    this.#processes.adoptOrphans();
    const [pulses, seconds] = bw.watchdogStart(device, wanted);
    return {
      seconds,
      pulse: () => bw.watchdogPulse(pulses, false),
      stop: () => bw.watchdogPulse(pulses, true),
    };
  }

  reboot(action: 'reboot' | 'poweroff'): void {
    if (!bw.settleDisks(SETTLE_SECONDS)) this.print('a disk does not answer: restarting without it');
    bw.rebootNow(action === 'poweroff');
  }

  uptime(): number {
    return bw.uptime();
  }

  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => startTimer(resolve, milliseconds));
  }

  random(): number {
    return bw.random();
  }

  stopped(): Promise<void> {
    const signals = bw.stopSignals();
    return new Promise((told) => watch(signals, POLLIN, told, true));
  }

  print(line: string): void {
    bw.print(line);
  }

  complain(line: string): void {
    bw.printError(line);
  }

  exit(code: number): never {
    if (this.processId === 1) {
      // The end of process 1 is a kernel panic.
      bw.print(`agent: exit ${code} as process 1, restarting`);
      this.reboot('reboot');
    }
    return bw.exit(code);
  }
}

/** Moves a mount; a source that is none stays where it is. */
function moveMount(source: string, target: string): void {
  try {
    bw.mount(source, target, '', MS_MOVE, '');
  } catch (error) {
    if (!(error instanceof HostError && (error.code === 'EINVAL' || error.code === 'ENOENT'))) throw error;
  }
}

function ours(connection: Connection): SocketConnection {
  if (!(connection instanceof SocketConnection))
    throw new HostError('EINVAL', 'the connection was not made by this host');
  return connection;
}
