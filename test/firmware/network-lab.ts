/** A lab whose nodes have no boot pointer: their firmware asks the network, and the imager says what to boot. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { eepromPointers, makeEeprom } from '../../firmware-stubs/rig/eeprom.ts';
import { Lab } from '../../firmware-stubs/rig/lab.ts';
import type { RigNode } from '../../firmware-stubs/rig/node.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import type { NetworkFirmware } from '../../firmware-stubs/rig/qemu.ts';
import { type Stock, stockFor } from '../../firmware-stubs/rig/scenario/stock.ts';
import type { BootEvent } from '../../imager/journal/event.ts';
import { NodeShell } from '../service/lab.ts';

const IMAGER = '10.77.0.1';
const DNSMASQ = 'exec dnsmasq --conf-file=/dev/null --port=0 --user=root --pid-file= --bind-interfaces';
/** iPXE waits 16 s for an IPv6 router where none answers. */
const ROUTER = '--enable-ra --dhcp-range=fd00:77::,ra-only';

export class NetworkLab {
  readonly #lab: Lab;
  readonly #dir: string;
  readonly #stock: Stock;

  private constructor(lab: Lab, dir: string, stock: Stock) {
    this.#lab = lab;
    this.#dir = dir;
    this.#stock = stock;
  }

  /**
   * Imager and nodes, switched off; every node is to boot the image alpha. `proxy`: a dnsmasq in a network namespace of
   * its own, 10.77.0.2, gives the addresses (10.77.0.50 and up) and knows nothing of booting. Needs dist/.
   */
  static async open(mode: 'server' | 'proxy'): Promise<NetworkLab> {
    const stock = await stockFor('x86');
    const { arch, kernel, initrd, args } = stock;
    mkdirSync(projectFile('build/test'), { recursive: true });
    const dir = mkdtempSync(projectFile('build/test/network-'));
    const config = join(dir, 'imager.yaml');
    writeFileSync(config, stringify(configOf(mode)));
    const lab = await Lab.open({ dir, address: `${IMAGER}/24` });
    const made = new NetworkLab(lab, dir, stock);
    try {
      if (mode === 'proxy') await made.#startOtherServer();
      else
        await lab.space.check([
          'sh',
          '-ec',
          `ip address add fd00:77::1/64 dev br0 nodad; ${DNSMASQ} --interface=br0 ${ROUTER}`,
        ]);
      await lab.startImager({ config });
      const files = ['--arch', arch, '--kernel', kernel, '--initrd', initrd, '--args', args];
      await made.#verb('image', 'add', 'alpha', ...files);
      return made;
    } catch (error) {
      await made.close();
      throw error;
    }
  }

  /** Adds the node that has this firmware, and switches it on. */
  async boot(firmware: NetworkFirmware, name: NodeName = firmware): Promise<RigNode> {
    const { mac, uid } = markOf(name);
    const node = await this.#lab.node({ name, rig: 'x86', firmware, mac, uid });
    await node.powerOn();
    return node;
  }

  /** Adds the node whose EEPROM holds a boot pointer, which names a disk, and switches it on. */
  async bootPointer(): Promise<RigNode> {
    await this.#verb('base', 'add', 'base', this.#stock.base);
    await this.#verb('disk', 'create', 'root', '--base', 'base');
    const eeprom = join(this.#dir, 'eeprom');
    makeEeprom(eeprom, 'x86');
    eepromPointers(eeprom, 'x86').write({
      ...{ image: 'alpha', disks: ['root'], imagers: [IMAGER], cluster: 'test', deployment: 'first' },
      ...{ phase: 'deploy', attempts: 3, fallback: '' },
    });
    const node = await this.#lab.node({ name: 'pointer', rig: 'x86', ...markOf('pointer'), eeprom });
    await node.powerOn();
    return node;
  }

  /** What the imager knows of a node: `component step` and the file where one is told or loaded, in order. */
  async story(firmware: NodeName): Promise<string[]> {
    const events = await this.events(firmware);
    return events
      .filter(({ step }) => ['offer', 'ack', 'transfer-end'].includes(step))
      .map(({ component, step, detail }) => `${component} ${step} ${detail?.file ?? ''}`.trim());
  }

  async events(firmware: NodeName): Promise<BootEvent[]> {
    return JSON.parse(await this.get(`/api/events?node=${firmware}`)) as BootEvent[];
  }

  /** What the imager's HTTP server answers. */
  get(path: string): Promise<string> {
    return this.#lab.space.check(['curl', '-fsS', '--max-time', '20', `http://${IMAGER}${path}`]);
  }

  /** The address dnsmasq has given a node, by its lease file, and what it logged of it: `DHCPACK 10.77.0.80`. */
  otherServer(firmware: NodeName): { address: string | undefined; log: string[] } {
    const { mac } = markOf(firmware);
    const leases = readFileSync(join(this.#dir, 'leases'), 'utf8').split('\n');
    const log = readFileSync(join(this.#dir, 'dnsmasq.log'), 'utf8').split('\n');
    return {
      address: leases.map((line) => line.split(' ')).find(([, hardware]) => hardware === mac)?.[2],
      log: log.flatMap((line) => {
        const [, step, address] =
          /(DHCP[A-Z]+)\(eth0\) ([\d.]+ )?/.exec(line.includes(mac) ? line : '') ?? [];
        return step === undefined ? [] : [`${step} ${address ?? ''}`.trim()];
      }),
    };
  }

  async close(): Promise<void> {
    await this.#lab.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #verb(...args: string[]): Promise<void> {
    const { code, stderr } = await this.#lab.imagerCommand(args);
    if (code !== 0) throw new Error(`imager ${args.join(' ')}: ${stderr}`);
  }

  async #startOtherServer(): Promise<void> {
    const shell = await NodeShell.open(this.#lab.space, 'other', '52:54:00:77:00:02');
    const said = await shell.run(
      [
        'ip address add 10.77.0.2/24 dev eth0; ip address add fd00:77::2/64 dev eth0 nodad',
        `(${DNSMASQ} --interface=eth0 ${ROUTER} --no-ping --log-facility=${join(this.#dir, 'dnsmasq.log')} \\`,
        `  --dhcp-leasefile=${join(this.#dir, 'leases')} --dhcp-range=10.77.0.50,10.77.0.80)`,
      ].join('\n'),
    );
    if (said !== '') throw new Error(said);
  }
}

/** Nodes by name: what starts them, one with a boot pointer, and two that are shown a menu. */
export type NodeName = NetworkFirmware | 'pointer' | 'menu-ipxe' | 'menu-uefi';
const NODES: NodeName[] = [
  ...(['ipxe-bios', 'ipxe-uefi', 'uefi-pxe', 'uefi-http', 'uboot-x86'] as const),
  ...(['pointer', 'menu-ipxe', 'menu-uefi'] as const),
];
/** Shown at once. Whoever takes the first item does not boot. */
const MENU = {
  prompt: 'Boot menu',
  items: [
    { name: 'Nothing', file: 'nothing.0' },
    { name: 'As always', boot: 'normal' },
    { name: 'Disk', boot: 'local' },
  ],
};

function markOf(name: NodeName): { mac: string; uid: string } {
  const digit = NODES.indexOf(name) + 1;
  return { mac: `52:54:00:77:00:1${digit}`, uid: `6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f61${digit}` };
}

function configOf(mode: 'server' | 'proxy'): object {
  return {
    state: './state',
    cluster: 'test',
    network: { address: IMAGER, prefix: 24 },
    dhcp: { mode },
    boot: { image: 'alpha' },
    nodes: NODES.map((name, index) => ({
      name,
      ...markOf(name),
      ...(mode === 'proxy' ? {} : { address: `10.77.0.1${index}` }),
      ...(name.startsWith('menu-') ? { boot: { menu: { ...MENU, ipxe: name === 'menu-ipxe' } } } : {}),
    })),
  };
}
