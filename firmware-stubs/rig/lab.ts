/**
 * A laboratory on one machine: a private network, the imager, and nodes with real firmware.
 *
 *     const lab = await Lab.open({ dir: 'build/lab' });
 *     await lab.startImager({ config: 'imager.yaml' });
 *     const node = await lab.node({ name: 'n1', rig: 'arm64', mac: '52:54:00:00:00:01', uid: UID, eeprom: 'n1.eeprom' });
 *     await node.powerOn();
 *     await node.waitForStep('ready', { withinMs: 60_000 });
 *     await lab.close();
 *
 * Needs ip (iproute2), util-linux, QEMU and the firmware packages in apt-packages.txt; root, or /dev/net/tun open to users.
 */
import { mkdirSync } from 'node:fs';
import { copyFile, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseUid } from '../../agent/protocol/uid.ts';
import type { BootEvent } from '../../imager/journal/event.ts';
import { bootDisk } from '../bios/boot-disk.ts';
import { eepromSizes } from './eeprom.ts';
import { RigImager } from './imager.ts';
import { InsideProcess } from './inside.ts';
import { type CommandOptions, type CommandResult, NetworkNamespace } from './namespace.ts';
import { type NodeOptions, RigNode } from './node.ts';
import { projectFile } from './project.ts';
import { IPXE, isStub, isUefi, UEFI_VARIABLES } from './qemu.ts';
import { identityVariables, parseEnvironment, writeFlash } from './uboot-environment.ts';
import { makeUefiDisk } from './uefi-disk.ts';
import { setListening } from './uefi-store.ts';

export interface LabOptions {
  /** Folder for logs and working files; made where it does not exist. */
  dir: string;
  /** The imager's address on the lab's network and the prefix length. Default 10.77.0.1/24. */
  address?: string;
  /** Leaves the nodes' flash images in `dir` after close(). Logs stay always. */
  keep?: boolean;
}

export interface ImagerOptions {
  /** The imager's configuration file. */
  config: string;
  /** Milliseconds until it must have printed its `ready` line. Default 60,000. */
  withinMs?: number;
  /** Program and leading arguments instead of the project's own imager. */
  program?: readonly string[];
}

const MAC = /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/i;
const NODE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export class Lab {
  /** The network all of it runs in; other programs (clients, servers, sniffers) can be started there. */
  readonly space: NetworkNamespace;
  readonly dir: string;
  readonly #keep: boolean;
  readonly #nodes: RigNode[] = [];
  readonly #imagers: RigImager[] = [];
  readonly #flashes: string[] = [];
  #config: string | undefined;
  #program: readonly string[] = [process.execPath, projectFile('dist/imager/cli/main.js')];

  private constructor(space: NetworkNamespace, dir: string, keep: boolean) {
    this.space = space;
    this.dir = dir;
    this.#keep = keep;
  }

  /** Makes the network: a bridge `br0` that forwards from the first frame on, with the imager's address. */
  static async open(options: LabOptions): Promise<Lab> {
    const { address = '10.77.0.1/24', keep = false } = options;
    const dir = resolve(options.dir);
    mkdirSync(dir, { recursive: true });
    const space = await NetworkNamespace.open();
    try {
      // No spanning tree and no forward delay: either would hold frames back for seconds after a link comes up.
      await space.check('ip link add br0 type bridge stp_state 0 forward_delay 0'.split(' '));
      await space.check(['ip', 'address', 'add', address, 'dev', 'br0']);
      await space.check('ip link set br0 up'.split(' '));
    } catch (error) {
      await space.close();
      throw error;
    }
    return new Lab(space, dir, keep);
  }

  /** Starts the imager and resolves when it serves. Rejects with its log where it does not. */
  async startImager(options: ImagerOptions): Promise<RigImager> {
    const { config, withinMs = 60_000, program } = options;
    this.#config = resolve(config);
    if (program !== undefined) this.#program = program;
    const child = this.space.spawn([...this.#program, 'serve', '--config', this.#config]);
    const imager = new RigImager({
      process: new InsideProcess(child),
      logFile: join(this.dir, 'imager.log'),
    });
    this.#imagers.push(imager);
    await imager.ready(withinMs);
    return imager;
  }

  /** Runs a verb of the imager's command line, with the configuration of startImager, to its end. */
  imagerCommand(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const config = this.#config === undefined ? [] : ['--config', this.#config];
    return this.space.run([...this.#program, ...args, ...config], options);
  }

  /**
   * Adds a node, switched off. Rejects where an option has a fault or the EEPROM's file is not as long as one
   * (makeEeprom makes one).
   */
  async node(options: NodeOptions): Promise<RigNode> {
    const { eeprom } = options;
    const node = { ...options, ...(eeprom === undefined ? {} : { eeprom: resolve(eeprom) }) };
    await this.#check(node);
    const tap = `tap${this.#nodes.length}`;
    const flash = join(this.dir, `${node.name}.flash`);
    const boot = join(this.dir, `${node.name}.boot`);
    // Nobody there to listen for: no second is lost.
    const { listenMilliseconds = node.serial === undefined ? 0 : 1000 } = node;
    const place = {
      start: (argv: string[]) =>
        new InsideProcess(this.space.spawn(argv, { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] })),
      tap,
      serialLog: join(this.dir, `${node.name}.serial.log`),
      imagerLog: () => this.#imagers.at(-1)?.tail() ?? '--- no imager was started',
      ...(node.rig === 'arm64' || isUefi(node.firmware) ? { flash } : {}),
      ...(isStub(node.firmware) ? { boot } : {}),
    };
    const made = new RigNode(node, place);
    this.#nodes.push(made);
    await this.#addTap(tap);
    await this.space.check(['ip', 'link', 'set', tap, 'master', 'br0', 'up']);
    if (node.rig === 'arm64') {
      const variables = parseEnvironment(
        await readFile(projectFile('firmware-stubs/uboot/boot.env'), 'utf8'),
      );
      if (node.serial === undefined) variables.set('bw_listen', '0');
      await writeFlash(flash, new Map([...variables, ...identityVariables(node.uid)]));
      this.#flashes.push(flash);
    } else if (isUefi(node.firmware)) {
      await copyFile(UEFI_VARIABLES, flash);
      this.#flashes.push(flash);
    } else if (node.firmware === 'bios-stub') {
      const stub = await readFile(projectFile('dist/firmware-stubs/bios/stub.bin'));
      await writeFile(boot, bootDisk(stub, await readFile(IPXE), { listenMilliseconds }));
      this.#flashes.push(boot);
    } else if (node.firmware === 'uefi-stub') {
      await makeUefiDisk(boot, projectFile('dist/firmware-stubs/uefi/bootwright.efi'));
      this.#flashes.push(boot);
      setListening(node.eeprom!, listenMilliseconds);
    }
    if (node.serial === 'pty') await made.plugCable();
    return made;
  }

  /** What all nodes showed, in the order of time. */
  events(): BootEvent[] {
    return this.#nodes.flatMap((node) => node.events()).sort((a, b) => a.at - b.at);
  }

  /** Cuts every node's power, ends the imager and the network. Resolves when nothing of it is left. */
  async close(): Promise<void> {
    await Promise.all(this.#nodes.flatMap((node) => [node.cutPower(), node.pullCable()]));
    await Promise.all(this.#imagers.map((imager) => imager.stop()));
    await this.space.close();
    if (!this.#keep) await Promise.all(this.#flashes.map((flash) => rm(flash, { force: true })));
  }

  async #addTap(tap: string): Promise<void> {
    const { code, stderr } = await this.space.run(['ip', 'tuntap', 'add', tap, 'mode', 'tap']);
    if (code === 0) return;
    throw new Error(
      `cannot make a tap device (${stderr.trim()}): run as root, or open /dev/net/tun to this user (Debian's default mode is 0666)`,
    );
  }

  async #check(node: NodeOptions): Promise<void> {
    if (!NODE_NAME.test(node.name)) throw new Error(`node name "${node.name}" cannot be a file's name`);
    if (this.#nodes.some((other) => other.name === node.name))
      throw new Error(`there is a node ${node.name} already`);
    if (!MAC.test(node.mac)) throw new Error(`"${node.mac}" is not an Ethernet address`);
    if (parseUid(node.uid) === undefined) throw new Error(`"${node.uid}" is not a UID`);
    if (node.rig === 'arm64' && node.firmware !== undefined)
      throw new Error(`firmware ${node.firmware} is of x86 nodes`);
    if (node.eeprom === undefined) {
      if (node.firmware !== undefined && !isStub(node.firmware)) return;
      throw new Error(`node ${node.name} has neither an EEPROM nor firmware that asks the network`);
    }
    const { size } = await stat(node.eeprom);
    const sizes = eepromSizes(isStub(node.firmware) ? node.firmware : node.rig);
    if (!sizes.includes(size))
      throw new Error(`${node.eeprom} has ${size} bytes, an EEPROM ${sizes.join(' or ')}`);
  }
}
