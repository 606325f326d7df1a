/** Two nodes, their images, and a library in a folder of its own: what the tests of menus are about. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import type { BootImage, LinuxImage } from '../../imager/images/image.ts';
import { Library } from '../../imager/menus/library.ts';
import { Menus } from '../../imager/menus/menus.ts';
import { configuredWorld } from '../../imager/menus/world.ts';
import type { ImagerConfig, NodeConfig } from '../../imager/model/config.ts';
import { parseConfig } from '../../imager/model/load.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';

export const POINTER: BootPointer = {
  sequence: 4,
  image: 'debian-12',
  disks: ['node1-root'],
  imagers: ['10.77.0.1'],
  cluster: 'lab',
  deployment: 'first',
  phase: 'ready',
  attempts: 3,
  fallback: '',
};

const CONFIG = `state: ./state
cluster: lab
network: { address: 10.77.0.1, prefix: 24, router: 10.77.0.254, pool: { from: 10.77.0.100, to: 10.77.0.199 } }
boot: { image: standard }
nodes:
  - { name: node1, mac: "52:54:00:77:00:11", uid: 6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601, address: 10.77.0.11,
      variables: { pointer: "ipxe-script:/dev/vda", args: quiet } }
  - { name: node2, mac: "52:54:00:77:00:12", address: 10.77.0.12, boot: { image: board } }
  - { name: pi, mac: "dc:a6:32:00:00:13", serial: 8af1c2d3, address: 10.77.0.13, boot: { image: board } }
  - { name: pooled, mac: "52:54:00:77:00:14" }
`;

export function linuxImage(name: string, more: Partial<LinuxImage> = {}): LinuxImage {
  const file = { bytes: 9, sha256: '0'.repeat(64) };
  return {
    name,
    kind: 'linux',
    arch: 'amd64',
    args: 'console=ttyS0',
    files: { kernel: file, initrd: file },
    added: '2026-01-01T00:00:00.000Z',
    ...more,
  };
}

const dtb = { bytes: 9, sha256: '0'.repeat(64) };
const IMAGES: BootImage[] = [
  linuxImage('debian-12'),
  linuxImage('standard', { args: '' }),
  linuxImage('board', { arch: 'arm64', args: 'console=ttyAMA0', files: { kernel: dtb, initrd: dtb, dtb } }),
  { ...linuxImage('loader'), kind: 'efi', files: { 'boot.efi': dtb } },
];

export class MenuLab {
  readonly dir = mkdtempSync(join(tmpdir(), 'menus-'));
  readonly templates = join(this.dir, 'templates');
  readonly config: ImagerConfig;
  /** What the library and the menus logged, as JSON lines. */
  readonly logged: string[] = [];
  readonly log = pino({ level: 'info' }, { write: (line: string) => void this.logged.push(line) });
  pointers: Record<string, BootPointer> = { node1: POINTER };
  leases: Record<string, string> = { '10.77.0.100': 'pooled' };
  images = IMAGES;

  constructor(more = '') {
    mkdirSync(this.templates);
    this.config = parseConfig(CONFIG + more, join(this.dir, 'imager.yaml'));
  }

  /** Writes a file of the operator's folder. */
  write(path: string, text: string): void {
    const file = join(this.templates, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  async open(): Promise<Menus> {
    const nodes = new NodeIndex(this.config.nodes);
    const world = configuredWorld(this.config, nodes);
    return new Menus(
      await Library.open(this.templates, this.log),
      {
        ...world,
        pointerOf: ({ name }: NodeConfig) => this.pointers[name] ?? null,
        nodeAt: (address: string) => world.nodeAt(address) ?? nodes.byName(this.leases[address] ?? ''),
        addressOf: (node: NodeConfig) =>
          node.address ?? Object.keys(this.leases).find((address) => this.leases[address] === node.name),
        imageNamed: (name: string) => this.images.find((image) => image.name === name),
      },
      this.log,
    );
  }

  close(): void {
    rmSync(this.dir, { recursive: true });
  }
}

/** The text `client` is given for `path`; rejects what is no text. */
export function textOf(menus: Menus, path: string, address: string): string | undefined {
  const served = menus.find(path, { address });
  if (served === undefined) return undefined;
  if (!('bytes' in served)) throw new Error(`${path} is ${JSON.stringify(served)}`);
  return Buffer.from(served.bytes).toString();
}
