/**
 * A node's machine as the agent sees it (agent/linux/host.ts), in virtual time: the agent runs on it as it is, from its
 * composition root on. What stands in for Linux: a table of the files of /proc and /sys that are read, one file system, and
 * scripts (shell.ts).
 *
 * The agent's file calls are synchronous, so none can wait for a disk that is away. What would lead to one waits instead: the
 * end of a script, an answer, a pause.
 */
import { parseBootLine } from '../../../agent/linux/cmdline.ts';
import {
  type Connection,
  type Digest,
  type Host,
  HostError,
  type ProcessResult,
  type Secret,
} from '../../../agent/linux/host.ts';
import { SCRIPT_DIRECTORY } from '../../../agent/linux/journal.ts';
import { sha256, startSha256, verify } from '../../../agent/node/signatures.ts';
import { AGENT_PORT } from '../../../agent/protocol/messages.ts';
import type { Eeprom } from '../../../agent/protocol/pointer/store.ts';
import { DiskKeeper, type DiskSource } from './keeper.ts';
import type { Life } from './life.ts';
import type { StreamEnd, StreamPacket } from './network.ts';
import { present } from './secure.ts';
import { scriptActs } from './shell.ts';

/** What holds for one boot of a machine. */
export interface MachineBoot {
  life: Life;
  random: () => number;
  /** The kernel's command line. */
  commandLine: string;
  bootId: string;
  uid: string;
  mac: string;
  store: Eeprom;
}

/** The board and the world around it. */
export interface MachineWorld {
  disks: DiskSource;
  connect(packet: StreamPacket, address: string, timeoutMs: number): Promise<StreamEnd>;
  /** Sends a datagram to the agent port; undefined where nothing comes back in time. */
  ask(address: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array | undefined>;
  print(line: string): void;
  /** The machine restarts or stops. */
  ended(action: 'reboot' | 'poweroff'): void;
}

/** What listens on an imager's ports. */
const STREAMS: Readonly<Record<number, StreamPacket>> = { [AGENT_PORT]: 'agent', 80: 'http' };
const LOOPBACK = '127.0.0.1';
const DISK_BYTES = 256 * 1024 * 1024;
const MAX_DISKS = 8;
/** What they take on the rig: Debian's busybox init with a web server, and a shell with little to do. */
const SERVICES_MS = 300;
const SHELL_MS = 20;
/** Exit code of a program that SIGKILL has ended. */
const KILLED = 128 + 9;

export class SimulatedMachine implements Host {
  readonly processId = 1;
  readonly runtime = 'quickjs';
  readonly #boot: MachineBoot;
  readonly #world: MachineWorld;
  readonly #keepers: DiskKeeper[] = [];
  readonly #files: ReadonlyMap<string, () => string>;
  readonly #streams = new Map<Connection, StreamEnd>();
  #root: DiskKeeper | undefined;
  #servicesAtAge = Number.POSITIVE_INFINITY;

  constructor(boot: MachineBoot, world: MachineWorld) {
    this.#boot = boot;
    this.#world = world;
    const sectors = (index: number) => (this.#keepers[index]?.disk === undefined ? 0 : DISK_BYTES / 512);
    this.#files = new Map([
      ['/etc/bootwright/modules', () => ''],
      ['/etc/bootwright/uid', () => boot.uid],
      ['/proc/cmdline', () => boot.commandLine],
      // Disks do not come over the network that the agent knows of.
      ['/proc/net/tcp', () => ''],
      ['/proc/sys/kernel/random/boot_id', () => `${boot.bootId}\n`],
      ...Object.entries({ address: boot.mac, type: '1', carrier: '1', operstate: 'up' }).map(
        ([file, text]) => [`/sys/class/net/eth0/${file}`, () => `${text}\n`] as const,
      ),
      ...Array.from(
        { length: MAX_DISKS },
        (_, index) => [`/sys/block/nbd${index}/size`, () => String(sectors(index))] as const,
      ),
    ]);
  }

  /** The power has gone: nobody hears of it. `kept`: as SimulatedDisk.lose() has it. */
  lose(kept: () => boolean): void {
    for (const stream of this.#streams.values()) stream.vanish();
    for (const { disk } of this.#keepers) disk?.raw.lose(kept);
  }

  readFile(path: string): Uint8Array {
    const text = this.#files.get(path);
    const bytes =
      text === undefined ? this.#root?.disk?.mounted.read(path) : new TextEncoder().encode(text());
    if (bytes === undefined) throw new HostError('ENOENT', `open ${path}: No such file or directory`);
    return bytes;
  }

  exists(path: string): boolean {
    const known = this.#files.has(path) || this.list(path).length > 0;
    return known || this.#root?.disk?.mounted.read(path) !== undefined;
  }

  /** Nobody else is on the machine. */
  mode(): number {
    return 0o600;
  }

  readStored(_path: string, offset: number, length: number): Uint8Array {
    return this.#boot.store.read(offset, length);
  }

  writeStored(_path: string, offset: number, bytes: Uint8Array): void {
    this.#boot.store.write(offset, bytes);
  }

  replaceFile(path: string, bytes: Uint8Array): void {
    const disk = this.#root?.disk;
    if (disk === undefined) throw new HostError('EROFS', `open ${path}: Read-only file system`);
    disk.mounted.replace(path, bytes);
  }

  async replaceFileAside(path: string, bytes: Uint8Array): Promise<void> {
    await this.#possible(Promise.resolve());
    this.replaceFile(path, bytes);
    await this.#possible(this.#boot.life.sleep(0));
  }

  list(path: string): string[] {
    const files = [...this.#files.keys(), ...(this.#root?.disk?.mounted.paths() ?? [])];
    const names = files.filter((file) => file.startsWith(`${path}/`));
    return [...new Set(names.map((file) => file.slice(path.length + 1).split('/')[0]!))];
  }

  /** A folder is there for as long as something is in it. */
  remove(path: string): void {
    if (this.list(path).length > 0) throw new HostError('ENOTEMPTY', `remove ${path}: Directory not empty`);
    this.#root?.disk?.mounted.remove(path);
  }

  syncDirectory(path: string): void {
    this.#root?.disk?.mounted.syncDirectory(path);
  }

  switchRoot(): void {
    this.#root = this.#keepers[0];
  }

  startSelf([, index, name = '', ...imagers]: string[]): void {
    const keeper = new DiskKeeper(name, this.#boot.life, (line) => this.print(line));
    this.#keepers[Number(index)] = keeper;
    void keeper.keep(this.#world.disks, imagers);
  }

  handOverInit(): void {
    this.#servicesAtAge = this.#boot.life.age + SERVICES_MS;
  }

  async connect(address: string, port: number, timeoutMs: number): Promise<Connection> {
    const { life } = this.#boot;
    const refused = new HostError('ECONNREFUSED', `connect ${address}:${port}: Connection refused`);
    if (address === LOOPBACK) {
      if (life.age < this.#servicesAtAge) throw refused;
      return { write: async () => {}, read: async () => undefined, close: () => {} };
    }
    const packet = STREAMS[port];
    if (packet === undefined) throw refused;
    const stream = await this.#possible(this.#world.connect(packet, address, timeoutMs));
    const connection: Connection = {
      write: async (bytes) => life.does(() => stream.write(bytes)),
      read: () => this.#possible(stream.read()),
      close: () => life.does(() => stream.close()),
    };
    this.#streams.set(connection, stream);
    return connection;
  }

  async secure(connection: Connection, secret: Secret): Promise<Connection> {
    const stream = this.#streams.get(connection);
    if (stream === undefined) throw new HostError('EINVAL', 'the connection was not made by this host');
    await this.#possible(present(stream, secret));
    return connection;
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

  addressOf(): string {
    return parseBootLine(this.#boot.commandLine).network.address;
  }

  async ask(_name: string, address: string, _port: number, bytes: Uint8Array, timeoutMs: number) {
    return this.#possible(this.#world.ask(address, bytes, timeoutMs));
  }

  async run(
    argv: string[],
    { timeoutMs, env = {} }: { timeoutMs: number; env?: Record<string, string> },
  ): Promise<ProcessResult> {
    const { life } = this.#boot;
    const file = argv.find((word) => word.startsWith(`${SCRIPT_DIRECTORY}/`));
    if (file === undefined) throw new HostError('ENOENT', `${argv.join(' ')}: not installed by the agent`);
    const acts = scriptActs(new TextDecoder().decode(this.readFile(file)));
    const deadline = life.age + timeoutMs;
    const left = () => deadline - life.age;
    let output = '';
    const end = async (code: number, timedOut = false) => {
      await this.#possible(Promise.resolve());
      return { code, output, timedOut };
    };
    await life.sleep(Math.min(SHELL_MS, left()));
    for (const act of acts) {
      if (act.do === 'exit') {
        if (act.unless === env.BOOTWRIGHT_IMAGE) continue;
        return end(act.code);
      }
      if (act.do === 'sleep') await life.sleep(Math.min(act.milliseconds, left()));
      else if (act.console) this.print(act.text);
      else output += `${act.text}\n`;
      if (left() <= 0) return end(KILLED, true);
    }
    return end(0);
  }

  reboot(action: 'reboot' | 'poweroff'): void {
    for (const { disk, attached } of this.#keepers) if (attached) disk?.mounted.sync();
    this.#boot.life.does(() => this.#world.ended(action));
  }

  random(): number {
    return this.#boot.random();
  }

  uptime(): number {
    return this.#boot.life.age / 1000;
  }

  async sleep(milliseconds: number): Promise<void> {
    await this.#possible(this.#boot.life.sleep(milliseconds));
  }

  print(line: string): void {
    this.#boot.life.does(() => this.#world.print(line));
  }

  /** Both are the machine's console. */
  complain(line: string): void {
    this.print(line);
  }

  /** Nobody else is on the machine. */
  lock(): () => void {
    return () => {};
  }

  // Nothing comes of these that anybody here could see.
  makeDirectory(): void {}
  mount(): void {}
  loadModule(): void {}
  configureInterface(): void {}
  setMac(): void {}
  readdress(): void {}
  dropAddress(): void {}
  setHostName(): void {}

  receive = absent('receive');
  becomeIoFlusher = absent('becomeIoFlusher');
  nbdAttach = absent('nbdAttach');
  nbdAttachPacked = absent('nbdAttachPacked');
  nbdReattach = absent('nbdReattach');
  nbdLinkDead = absent('nbdLinkDead');
  writeVariable = absent('writeVariable');
  startWatchdog = absent('startWatchdog');
  transact = absent('transact');
  readLink = absent('readLink');
  fileId = absent('fileId');
  stopped = absent('stopped');
  exit = absent('exit');

  /** What comes of `promise` while the machine is on and can go on: its root disk is there, once it has one. */
  async #possible<T>(promise: Promise<T>): Promise<T> {
    const { life } = this.#boot;
    try {
      return await life.lived(promise);
    } finally {
      if (this.#root !== undefined) {
        await life.lived(this.#root.untilAttached());
        await life.lived(this.#world.disks.clear());
      }
    }
  }
}

/** Calls of what does not run here: the keepers of disks, UEFI variables. */
function absent(call: string): () => never {
  return () => {
    throw new HostError('ENOSYS', `${call}: a simulated machine has no such call`);
  };
}
