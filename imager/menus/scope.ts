/** What templates know: the variables there are, and their values for one request. Pure. */

import { numberToIpv4, prefixMask } from '../../agent/protocol/ipv4.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import type { BootImage } from '../images/image.ts';
import type { NodeConfig } from '../model/config.ts';
import type { BootChoice } from './choice.ts';

/** Each variable with its parts; `*`: parts of any name. */
const VARIABLES: Record<string, readonly string[]> = {
  node: ['name', 'mac', 'uid', 'address', 'hostname', 'serial', 'ip', 'variables'],
  image: ['name', 'kind', 'arch', 'args', 'files', 'urls'],
  pointer: ['image', 'disks', 'cluster', 'deployment', 'phase'],
  boot: ['args', 'from', 'why'],
  imager: ['address', 'http', 'tftp'],
  client: ['address'],
  cluster: [],
};

/** Values by name; null where there is none for this request. */
export interface Scope {
  node: {
    name: string;
    mac: string | null;
    uid: string | null;
    address: string | null;
    hostname: string;
    serial: string | null;
    /** Value of the kernel's `ip=` (Documentation/admin-guide/nfs/nfsroot.rst), where the address is known. */
    ip: string | null;
    variables: Readonly<Record<string, string>>;
  } | null;
  image: {
    name: string;
    kind: string;
    arch: string;
    args: string;
    /** By name: bytes and sha256. */
    files: Readonly<Record<string, { bytes: number; sha256: string }>>;
    /** Where HTTP has each file, and boot.ipxe. */
    urls: Readonly<Record<string, string>>;
  } | null;
  pointer: Pick<BootPointer, 'image' | 'disks' | 'cluster' | 'deployment' | 'phase'> | null;
  boot: {
    /** Kernel arguments of the node, to go beside the image's own. */
    args: string;
    from: BootChoice['from'];
    why: string;
  };
  /** http: a URL without a slash at its end; tftp: a URL likewise. */
  imager: { address: string; http: string; tftp: string };
  client: { address: string };
  cluster: string;
}

export interface ScopeFacts {
  node: NodeConfig | undefined;
  /** The address the node has, where one is known. */
  address: string | undefined;
  /** The network it is in. */
  network: { prefix: number; router?: string } | undefined;
  pointer: BootPointer | null;
  choice: BootChoice;
  image: BootImage | undefined;
  imager: Scope['imager'];
  /** The address of who asks. */
  client: string;
  cluster: string;
}

/** The values of one request. */
export function scopeOf(facts: ScopeFacts): Scope {
  const { node, image, pointer, choice } = facts;
  return {
    node: node === undefined ? null : nodeValues(node, facts),
    image: image === undefined ? null : imageValues(image, facts.imager.http),
    pointer: pointer && {
      image: pointer.image,
      disks: pointer.disks,
      cluster: pointer.cluster,
      deployment: pointer.deployment,
      phase: pointer.phase,
    },
    boot: { args: bootArgs(node, image), from: choice.from, why: choice.why },
    imager: facts.imager,
    client: { address: facts.client },
    cluster: facts.cluster,
  };
}

/**
 * Why a template may not use a variable, undefined where it may. `segments`: names, indexes, and whatever else picks a
 * part while a template is rendered.
 */
export function unknownVariable(segments: readonly unknown[]): string | undefined {
  const [name, part] = segments;
  if (typeof name !== 'string' || !Object.hasOwn(VARIABLES, name))
    return `unknown variable ${String(name)}: there is ${Object.keys(VARIABLES).join(', ')}`;
  if (typeof part !== 'string' || VARIABLES[name]!.includes(part)) return undefined;
  const parts = VARIABLES[name]!;
  return `unknown variable ${name}.${part}: ${parts.length === 0 ? `${name} has no parts` : `${name} has ${parts.join(', ')}`}`;
}

function nodeValues(node: NodeConfig, facts: ScopeFacts): NonNullable<Scope['node']> {
  const { address, network } = facts;
  return {
    name: node.name,
    mac: node.mac ?? null,
    uid: node.uid ?? null,
    address: address ?? null,
    hostname: node.hostname,
    serial: node.serial ?? null,
    ip:
      address === undefined || network === undefined
        ? null
        : `${address}::${network.router ?? ''}:${maskText(network.prefix)}:${node.hostname}:eth0:off`,
    variables: node.variables ?? {},
  };
}

function imageValues(image: BootImage, http: string): NonNullable<Scope['image']> {
  const base = `${http}/images/${image.name}`;
  const files = Object.entries(image.files);
  return {
    name: image.name,
    kind: image.kind,
    arch: image.arch,
    args: image.args,
    files: Object.fromEntries(files),
    urls: Object.fromEntries(
      [...files.map(([file]) => file), 'boot.ipxe'].map((file) => [file, `${base}/${file}`]),
    ),
  };
}

/**
 * What Bootwright's agent needs to know (agent/linux/cmdline.ts), and the node's own arguments. Only the operator can
 * say where the pointer of a node that boots by menu is: variables.pointer, e.g. ipxe-script:/dev/vda.
 */
function bootArgs(node: NodeConfig | undefined, image: BootImage | undefined): string {
  const { pointer, args } = node?.variables ?? {};
  return [
    ...(image === undefined ? [] : [`bootwright.image=${image.name}`]),
    ...(pointer === undefined ? [] : [`bootwright.pointer=${pointer}`]),
    ...(args === undefined ? [] : [args]),
  ].join(' ');
}

function maskText(prefix: number): string {
  return numberToIpv4(prefixMask(prefix));
}
