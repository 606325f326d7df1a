/**
 * The boot pointer: one record with the same meaning in every store (U-Boot environment slots,
 * iPXE script slots). Writing it is called flashing the node (seed 004: "resetting the boot image").
 */
import { isIpv4 } from '../ipv4.ts';
import { isName } from '../names.ts';

/** `deploy`: flashed, has not reached ready yet, firmware counts attempts. `ready`: known to be good. */
export type PointerPhase = 'deploy' | 'ready';

export interface BootPointer {
  /** Grows by one with each write; the valid slot with the larger one counts. 0 to 0xffffffff. */
  sequence: number;
  /** Name of the boot image to boot. */
  image: string;
  /** Names of the virtual disks, the root disk first. */
  disks: string[];
  /** IPv4 addresses of the imagers, in order of preference. */
  imagers: string[];
  /** Name of the cluster the node is in. */
  cluster: string;
  /** Id of this deployment, new with each flash: tells an unfinished double reboot from another one's. */
  deployment: string;
  phase: PointerPhase;
  /** Boots left in phase `deploy` before the firmware takes the fallback image. 0 to 255. */
  attempts: number;
  /** Boot image that last reached ready, or '' where there is none. */
  fallback: string;
}

/** Attempts a fresh pointer, or one whose deployment made progress, is given. */
export const FRESH_ATTEMPTS = 3;

const DEPLOYMENT = /^[a-z0-9]{1,32}$/;

/** What is wrong with `pointer`, each fault in words; empty where it may be written. */
export function pointerFaults(pointer: BootPointer): string[] {
  const faults: string[] = [];
  if (!isUint(pointer.sequence, 0xffffffff))
    faults.push(`sequence ${pointer.sequence} is not an unsigned 32-bit number`);
  if (!isName(pointer.image)) faults.push(`image "${pointer.image}" is not a name`);
  for (const disk of pointer.disks) if (!isName(disk)) faults.push(`disk "${disk}" is not a name`);
  if (pointer.disks.length > 8) faults.push(`${pointer.disks.length} disks, at most 8 fit`);
  for (const imager of pointer.imagers)
    if (!isIpv4(imager)) faults.push(`imager "${imager}" is not an IPv4 address`);
  if (pointer.imagers.length === 0 || pointer.imagers.length > 4)
    faults.push('between 1 and 4 imagers are needed');
  if (!isName(pointer.cluster)) faults.push(`cluster "${pointer.cluster}" is not a name`);
  if (!DEPLOYMENT.test(pointer.deployment)) faults.push(`deployment "${pointer.deployment}" is not an id`);
  if (pointer.phase !== 'deploy' && pointer.phase !== 'ready')
    faults.push(`phase "${pointer.phase}" is unknown`);
  if (!isUint(pointer.attempts, 255)) faults.push(`attempts ${pointer.attempts} is not between 0 and 255`);
  if (pointer.fallback !== '' && !isName(pointer.fallback))
    faults.push(`fallback "${pointer.fallback}" is not a name`);
  return faults;
}

/** True where both say the same apart from the sequence number. */
export function samePointer(a: BootPointer, b: BootPointer): boolean {
  return JSON.stringify(fieldsOf({ ...a, sequence: 0 })) === JSON.stringify(fieldsOf({ ...b, sequence: 0 }));
}

/** The record as key/value text, in the order it is written. Keys are what the firmware stubs read. */
export function fieldsOf(pointer: BootPointer): [key: string, value: string][] {
  return [
    ['bw_sequence', String(pointer.sequence)],
    ['bw_image', pointer.image],
    ['bw_disks', pointer.disks.join(',')],
    ['bw_imagers', pointer.imagers.join(',')],
    ['bw_cluster', pointer.cluster],
    ['bw_deployment', pointer.deployment],
    ['bw_phase', pointer.phase],
    ['bw_attempts', String(pointer.attempts)],
    ['bw_fallback', pointer.fallback],
  ];
}

/** The record from key/value text, or the faults that make it unusable. Unknown keys are left alone. */
export function pointerFromFields(
  fields: ReadonlyMap<string, string>,
): BootPointer | { faults: string[]; sequence: number } {
  const text = (key: string) => fields.get(key) ?? '';
  const list = (key: string) =>
    text(key)
      .split(',')
      .filter((item) => item !== '');
  const pointer: BootPointer = {
    sequence: toUint(text('bw_sequence')),
    image: text('bw_image'),
    disks: list('bw_disks'),
    imagers: list('bw_imagers'),
    cluster: text('bw_cluster'),
    deployment: text('bw_deployment'),
    phase: text('bw_phase') as PointerPhase,
    attempts: toUint(text('bw_attempts')),
    fallback: text('bw_fallback'),
  };
  const faults = pointerFaults(pointer);
  // Firmware takes a number that is missing or none for 0.
  return faults.length === 0 ? pointer : { faults, sequence: pointer.sequence || 0 };
}

function toUint(text: string): number {
  return /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
}

function isUint(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}
