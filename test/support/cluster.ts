/** A whole cluster for a test: the built imager, images, disks and QEMU nodes in a private network. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Script } from '../../agent/protocol/messages.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { eepromPointers, makeEeprom } from '../../firmware-stubs/rig/eeprom.ts';
import type { RigImager } from '../../firmware-stubs/rig/imager.ts';
import { Lab } from '../../firmware-stubs/rig/lab.ts';
import type { CommandResult } from '../../firmware-stubs/rig/namespace.ts';
import type { NodeOptions, RigNode } from '../../firmware-stubs/rig/node.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import type { Rig, StubFirmware } from '../../firmware-stubs/rig/qemu.ts';
import { type Stock, stockFor } from '../../firmware-stubs/rig/scenario/stock.ts';
import type { BootEvent } from '../../imager/journal/event.ts';

export const IMAGER = '10.77.0.1';

export interface ClusterOptions {
  rig: Rig;
  /** Names of the nodes; the nth has the address 10.77.0.1n and a disk NAME-root. */
  nodes: string[];
  /** Names of boot images, all of Debian's kernel and the agent. The nodes' pointers name the first. */
  images: string[];
  /** Firmware of the nodes, where it is a stub and not the rig's own, and what else their machines have. */
  machine?: { firmware?: StubFirmware } & Pick<
    NodeOptions,
    'serial' | 'listenMilliseconds' | 'memoryMiB' | 'processors' | 'devices'
  >;
  /** Leaves the nodes' EEPROMs as they leave the factory. */
  blank?: boolean;
  /** Bytes of the nodes' EEPROMs; the largest there are where it is left out. */
  eepromSize?: number;
  /** Raw image of the base disk "web" in the stead of the usual one. */
  base?: string;
  /** Kernel arguments of one image besides those it needs. */
  args?: Record<string, string>;
  /** Addresses that a node's pointer names before the imager's, by the node's name. */
  before?: Record<string, string[]>;
  /** `adapters` of nodes in the configuration, by the node's name. */
  adapters?: Record<string, object[]>;
  /** More of the configuration's `network`. */
  network?: object;
  /** `userConfigs.web` of the configuration. */
  userConfig: {
    secondReboot: boolean;
    scripts: (Pick<Script, 'name' | 'stage' | 'content'> & Partial<Script>)[];
  };
}

export class Cluster {
  readonly lab: Lab;
  readonly dir: string;
  readonly nodes: RigNode[] = [];
  imager: RigImager;
  readonly #config: string;
  /** Whose EEPROMs the nodes have. */
  readonly #owner: Rig | StubFirmware;

  private constructor(
    lab: Lab,
    dir: string,
    config: string,
    { imager, owner }: { imager: RigImager; owner: Rig | StubFirmware },
  ) {
    this.#owner = owner;
    this.lab = lab;
    this.dir = dir;
    this.#config = config;
    this.imager = imager;
  }

  /** Everything up to nodes that are flashed and switched off. Needs dist/ to be up to date (`npm run build`). */
  static async open(options: ClusterOptions): Promise<Cluster> {
    const stock = await stockFor(options.rig);
    mkdirSync(projectFile('build/test'), { recursive: true });
    const dir = mkdtempSync(projectFile('build/test/cluster-'));
    const config = join(dir, 'imager.yaml');
    writeFileSync(config, stringify(configOf(options)));
    const lab = await Lab.open({ dir, address: `${IMAGER}/24` });
    try {
      const owner = options.machine?.firmware ?? options.rig;
      const imager = await lab.startImager({ config });
      const cluster = new Cluster(lab, dir, config, { imager, owner });
      await cluster.#stock(options, stock);
      for (const [i, name] of options.nodes.entries()) await cluster.#addNode(options, name, i);
      return cluster;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** Runs a verb of the imager's command line to its end. */
  verb(...args: string[]): Promise<CommandResult> {
    return this.lab.imagerCommand(args);
  }

  /** Runs a verb with --json and gives what it printed. Rejects where it fails. */
  async json<T>(...args: string[]): Promise<T> {
    const { code, stdout, stderr } = await this.verb(...args, '--json');
    if (code !== 0) throw new Error(`imager ${args.join(' ')}: exit ${code}\n${stdout}${stderr}`);
    return JSON.parse(stdout) as T;
  }

  /** What a web server on the nodes' network answers, seen from the imager's side. */
  get(url: string): Promise<string> {
    return this.lab.space.check(['curl', '-fsS', '--max-time', '20', url]);
  }

  /** The imager's events of one node, and the agent's as the imager heard them. */
  async imagerEvents(node: string): Promise<BootEvent[]> {
    return JSON.parse(await this.get(`http://${IMAGER}/api/events?node=${node}`)) as BootEvent[];
  }

  /** The boot pointer in a node's EEPROM, read as the host sees the file. */
  pointer(node: RigNode): BootPointer | undefined {
    return eepromPointers(this.#eeprom(node.name), this.#owner).read().pointer;
  }

  async startImager(): Promise<void> {
    this.imager = await this.lab.startImager({ config: this.#config });
  }

  async close(): Promise<void> {
    await this.lab.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  async #stock({ images, nodes, args = {}, base }: ClusterOptions, stock: Stock): Promise<void> {
    for (const image of images) {
      const files = ['--arch', stock.arch, '--kernel', stock.kernel, '--initrd', stock.initrd];
      await this.json('image', 'add', image, ...files, '--args', `${stock.args} ${args[image] ?? ''}`.trim());
    }
    await this.json('base', 'add', 'web', base ?? stock.base);
    for (const node of nodes) await this.json('disk', 'create', `${node}-root`, '--base', 'web');
  }

  async #addNode(options: ClusterOptions, name: string, index: number): Promise<void> {
    const { rig, images, before = {}, machine, eepromSize } = options;
    const eeprom = this.#eeprom(name);
    makeEeprom(eeprom, this.#owner, eepromSize);
    if (options.blank !== true)
      eepromPointers(eeprom, this.#owner).write({
        image: images[0]!,
        disks: [`${name}-root`],
        imagers: [...(before[name] ?? []), IMAGER],
        cluster: 'test',
        deployment: 'first',
        phase: 'deploy',
        attempts: 3,
        fallback: '',
      });
    const { mac, uid } = identity(index);
    this.nodes.push(await this.lab.node({ name, rig, mac, uid, eeprom, ...machine }));
  }

  #eeprom(name: string): string {
    return join(this.dir, `${name}.eeprom`);
  }
}

function identity(index: number): { mac: string; uid: string; address: string } {
  return {
    mac: `52:54:00:77:00:1${index + 1}`,
    uid: `6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f60${index + 1}`,
    address: `10.77.0.1${index + 1}`,
  };
}

function configOf({ nodes, network, adapters = {}, userConfig }: ClusterOptions): object {
  return {
    state: './state',
    cluster: 'test',
    network: { address: IMAGER, prefix: 24, leaseSeconds: 3600, ...network },
    nodes: nodes.map((name, i) => ({
      ...{ name, ...identity(i), userConfig: 'web' },
      ...(adapters[name] === undefined ? {} : { adapters: adapters[name] }),
    })),
    userConfigs: {
      web: { ...userConfig, services: { init: ['/sbin/init'], ports: [80], timeoutSeconds: 120 } },
    },
  };
}
