/**
 * Firmware of a simulated node, in virtual time: what U-Boot does with our script (firmware-stubs/uboot/README.md), and iPXE with
 * its own, which counts no attempts. It obeys the table that all stubs follow (decide.ts), says the same lines, and takes the times
 * seen on the rig.
 */
import type { PointerLayout } from '../../../agent/protocol/pointer/layout.ts';
import type { BootPointer } from '../../../agent/protocol/pointer/record.ts';
import type { Eeprom } from '../../../agent/protocol/pointer/store.ts';
import { type Decision, decide, type Refusal } from '../decide.ts';
import type { Life } from './life.ts';

export type BootFile = 'manifest' | 'kernel' | 'initrd';

export interface FirmwareWorld {
  life: Life;
  layout: PointerLayout;
  store: Eeprom;
  print(line: string): void;
  /** One DHCP exchange: the address, undefined where nobody answered. */
  dhcp(): Promise<string | undefined>;
  /** Whether anybody has the address on the wire. */
  reachable(imager: string): boolean;
  /** Loads a file of an image; true once all of it is there. */
  fetch(imager: string, image: string, file: BootFile): Promise<boolean>;
}

export interface Booted {
  image: string;
  address: string;
}

const MS = {
  /** From power to the first line, and from there to the pointer. */
  start: 550,
  pointer: 10,
  /** After an error, before it starts again. */
  again: 5000,
  /** U-Boot's wait for an address that nobody has. */
  arp: 25_000,
};

/** Runs until it starts a kernel. It starts anew by itself after whatever goes wrong. */
export async function runFirmware(world: FirmwareWorld): Promise<Booted> {
  await world.life.sleep(MS.start);
  for (;;) {
    world.print('bootwright: firmware start');
    const booted = await attempt(world);
    if (typeof booted === 'object') return booted;
    if (booted !== undefined) world.print(`bootwright: firmware error ${booted}`);
    await world.life.sleep(MS.again + MS.start);
  }
}

/** One start. Undefined, or the error not yet told, where it comes to no kernel. */
async function attempt(world: FirmwareWorld): Promise<Booted | string | undefined> {
  const { life, layout, store, print } = world;
  await life.sleep(MS.pointer);
  const bytes = store.read(0, layout.size);
  const decision = layout.firmwareCounts ? decide(layout, bytes) : decideUncounted(layout, bytes);
  if ('error' in decision) return decision.error;
  const { slot, pointer, image, attempts, fallback } = decision;
  print(`bootwright: firmware pointer image=${pointer.image} slot=${slot} attempts=${attempts}`);
  if (fallback) print(`bootwright: firmware error no attempts left for ${pointer.image}: fallback ${image}`);
  const address = await world.dhcp();
  if (address === undefined) return 'no DHCP lease';
  print(`bootwright: firmware dhcp ${address}`);
  print(`bootwright: firmware load ${image}`);
  return (await load(world, decision)) ? { image, address } : undefined;
}

async function load(world: FirmwareWorld, decision: Decision): Promise<boolean> {
  const { image } = decision;
  let counted = false;
  const count = () => {
    if (counted) return;
    counted = true;
    if (decision.uncounted !== undefined) world.print(`bootwright: firmware error ${decision.uncounted}`);
    if (decision.count !== undefined) world.store.write(decision.count.offset, decision.count.bytes);
  };
  const { imagers } = decision.pointer;
  // The list is gone through twice.
  for (const imager of [...imagers, ...imagers]) {
    if (await loadFrom(world, imager, image, count)) {
      world.print(`bootwright: firmware boot ${image}`);
      return true;
    }
    world.print(`bootwright: firmware error no image ${image} from ${imager}`);
  }
  return false;
}

async function loadFrom(
  world: FirmwareWorld,
  imager: string,
  image: string,
  count: () => void,
): Promise<boolean> {
  const { life } = world;
  if (!world.reachable(imager)) {
    await life.sleep(MS.arp);
    return false;
  }
  for (const file of ['manifest', 'kernel', 'initrd'] as const) {
    if (!(await world.fetch(imager, image, file))) return false;
    if (file === 'manifest') count();
  }
  return true;
}

/** A layout whose firmware cannot write: it boots what the pointer in force names. */
function decideUncounted(layout: PointerLayout, bytes: Uint8Array): Decision | Refusal {
  const slot = layout.active(bytes);
  const found = slot === undefined ? undefined : layout.read(bytes)[slot];
  if (slot === undefined || found?.kind !== 'valid') return { error: 'no boot pointer in the EEPROM' };
  const pointer: BootPointer = found.pointer;
  const { image, attempts, phase } = pointer;
  return { slot, pointer, image, attempts, phase, fallback: false };
}
