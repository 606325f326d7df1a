/** The agent's host on Node: full systems and rigs. Mounts, modules and interfaces through the system's own tools. */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { networkInterfaces, uptime } from 'node:os';
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
import { connect, secure } from './connection.ts';
import { ask } from './datagram.ts';
import { attempt, hostError } from './errors.ts';
import * as files from './files.ts';
import { readDirect } from './read-direct.ts';
import { runProgram } from './run-program.ts';
import { say } from './say.ts';
import { sha256, startSha256, verify } from './signatures.ts';
import { tool } from './tool.ts';

export class NodeHost implements Host {
  readonly processId = process.pid;
  readonly runtime = 'node';

  readFile(path: string): Uint8Array {
    const { buffer, byteOffset, length } = attempt(() => fs.readFileSync(path));
    return new Uint8Array(buffer, byteOffset, length);
  }

  readStored(path: string, offset: number, length: number): Uint8Array {
    return attempt(() => readDirect(path, offset, length));
  }

  writeStored(path: string, offset: number, bytes: Uint8Array): void {
    files.writeStored(path, offset, bytes);
  }

  replaceFile(path: string, bytes: Uint8Array, mode = 0o644): void {
    files.replaceFile(path, bytes, mode);
  }

  replaceFileAside(path: string, bytes: Uint8Array): Promise<void> {
    return files.replaceFileAside(path, bytes);
  }

  writeVariable(path: string, bytes: Uint8Array): void {
    files.writeVariable(path, bytes);
  }

  transact(path: string, request: Uint8Array): Uint8Array {
    return files.transact(path, request);
  }

  list(path: string): string[] {
    return attempt(() => fs.readdirSync(path).sort());
  }

  readLink(path: string): string {
    return attempt(() => fs.readlinkSync(path));
  }

  exists(path: string): boolean {
    return fs.existsSync(path);
  }

  mode(path: string): number {
    return attempt(() => fs.statSync(path).mode & 0o7777);
  }

  fileId(path: string): string {
    const { dev, ino } = attempt(() => fs.statSync(path, { bigint: true }));
    return `${dev}:${ino}`;
  }

  makeDirectory(path: string): void {
    attempt(() => fs.mkdirSync(path, { recursive: true }));
  }

  remove(path: string): void {
    attempt(() => {
      const info = fs.lstatSync(path, { throwIfNoEntry: false });
      if (info?.isDirectory()) fs.rmdirSync(path);
      else if (info !== undefined) fs.unlinkSync(path);
    });
  }

  syncDirectory(path: string): void {
    files.syncDirectory(path);
  }

  lock(path: string): (() => void) | undefined {
    return files.lock(path);
  }

  mount(source: string, target: string, type: string, options: string): void {
    const typed = type === '' ? [] : ['-t', type];
    tool(['mount', ...typed, ...(options === '' ? [] : ['-o', options]), source, target]);
  }

  switchRoot(newRoot: string): void {
    // Node finds its own parts by path and has no chroot(2): a full system is booted on its root already.
    throw new HostError('ENOTSUP', `switch root to ${newRoot}: only the static agent does this`);
  }

  loadModule(path: string): void {
    try {
      tool(['insmod', path]);
    } catch (error) {
      if (!/File exists|No such device/.test(String(error))) throw error;
    }
  }

  configureInterface(name: string, address: string, prefix: number, gateway?: string): void {
    tool(['ip', 'address', 'replace', `${address}/${prefix}`, 'dev', name]);
    tool(['ip', 'link', 'set', name, 'up']);
    if (gateway !== undefined) tool(['ip', 'route', 'replace', 'default', 'via', gateway, 'dev', name]);
  }

  setMac(name: string, mac: string): void {
    tool(['ip', 'link', 'set', name, 'address', mac]);
  }

  readdress(name: string, network: Ipv4Settings | undefined, kept?: string): void {
    tool(['ip', '-4', 'address', 'flush', 'dev', name]);
    if (network !== undefined)
      this.configureInterface(name, network.address, network.prefix, network.gateway);
    if (kept !== undefined) tool(['ip', 'address', 'replace', `${kept}/32`, 'dev', name]);
  }

  dropAddress(name: string, kept: string): void {
    const has = networkInterfaces()[name]?.some(({ cidr }) => cidr === `${kept}/32`);
    if (has === true) tool(['ip', 'address', 'delete', `${kept}/32`, 'dev', name]);
  }

  addressOf(name: string): string | undefined {
    return networkInterfaces()[name]?.find(({ family }) => family === 'IPv4')?.address;
  }

  ask(
    name: string,
    address: string,
    port: number,
    bytes: Uint8Array,
    timeoutMs: number,
  ): Promise<Uint8Array | undefined> {
    return ask(this.addressOf(name), { address, port }, bytes, timeoutMs);
  }

  setHostName(name: string): void {
    tool(['hostname', name]);
  }

  connect(address: string, port: number, timeoutMs: number): Promise<Connection> {
    return connect(address, port, timeoutMs);
  }

  secure(connection: Connection, secret: Secret, timeoutMs: number): Promise<Connection> {
    return secure(connection, secret, timeoutMs);
  }

  startSha256(): Digest {
    return startSha256();
  }

  sha256(bytes: Uint8Array): Uint8Array {
    return sha256(bytes);
  }

  verify(point: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
    return verify(point, bytes, signature);
  }

  async receive(
    connection: Connection,
    target: Uint8Array,
    from: number,
    silenceMs: number,
  ): Promise<number> {
    let at = from;
    while (at < target.length) {
      const timer = setTimeout(() => connection.close(), silenceMs);
      const chunk = await connection.read().finally(() => clearTimeout(timer));
      if (chunk === undefined) break;
      target.set(chunk.subarray(0, target.length - at), at);
      at += chunk.length;
    }
    return Math.min(at, target.length);
  }

  /** Does nothing: Node has no prctl(2), and nbdAttach() below refuses the disk that would be served. */
  becomeIoFlusher(): void {}

  nbdAttach(_connection: Connection, attachment: NbdAttachment): void {
    throw withoutNetlink(`attach /dev/nbd${attachment.index}`);
  }

  nbdAttachPacked(_connection: Connection, { index }: NbdAttachment, _pack: DiskPack): string | undefined {
    return `no relay for /dev/nbd${index} on Node`;
  }

  nbdReattach(_connection: Connection, attachment: NbdAttachment): void {
    throw withoutNetlink(`attach /dev/nbd${attachment.index} again`);
  }

  nbdLinkDead(index: number): Promise<void> {
    return Promise.reject(withoutNetlink(`watch /dev/nbd${index}`));
  }

  run(argv: string[], options: { timeoutMs: number; env?: Record<string, string> }): Promise<ProcessResult> {
    return runProgram(argv, options);
  }

  startSelf(args: string[]): void {
    const script = process.argv[1];
    if (script === undefined) throw new HostError('ENOENT', 'start self: no program file');
    const child = spawn(process.execPath, [...process.execArgv, script, ...args], {
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.on('error', (error) => this.print(`agent: ${hostError(error).message}`));
    child.unref();
  }

  handOverInit(argv: string[]): void {
    const [file, ...args] = argv;
    if (file === undefined) throw new HostError('EINVAL', 'hand over: no program named');
    if (process.pid === 1)
      throw new HostError(
        'ENOTSUP',
        `hand over to ${file}: Node cannot replace itself; run it under an init`,
      );
    attempt(() => fs.accessSync(file, fs.constants.X_OK));
    const child = spawn(file, args, { detached: true, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', (error) => this.print(`agent: ${hostError(error).message}`));
    child.unref();
  }

  startWatchdog(device: string): Watchdog {
    throw new HostError('ENOTSUP', `${device}: Node has no ioctl(2); only the static agent feeds a watchdog`);
  }

  reboot(action: 'reboot' | 'poweroff'): void {
    tool(['sync']);
    tool([action]);
  }

  uptime(): number {
    return uptime();
  }

  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, milliseconds));
  }

  random(): number {
    return Math.random();
  }

  stopped(): Promise<void> {
    return new Promise((told) => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => told());
    });
  }

  print(line: string): void {
    say(1, line);
  }

  complain(line: string): void {
    say(2, line);
  }

  exit(code: number): never {
    process.exit(code);
  }
}

function withoutNetlink(what: string): HostError {
  return new HostError(
    'ENOTSUP',
    `${what}: Node has no netlink sockets; only the static agent attaches disks`,
  );
}
