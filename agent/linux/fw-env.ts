/**
 * Pointer store `fw-env`: U-Boot's own environment, where /etc/fw_env.config or a file like it says it is. Beside a single
 * environment's configuration lies our spare copy of it, `CONFIG.spare`.
 */
import { redundantFwEnv, singleFwEnv } from '../protocol/pointer/fw-env.ts';
import {
  conflictOf,
  type EnvPlace,
  FwEnvConfigError,
  parseFwEnvConfig,
} from '../protocol/pointer/fw-env-config.ts';
import { type Eeprom, PointerRefusedError, PointerStore } from '../protocol/pointer/store.ts';
import type { Host } from './host.ts';
import { readText } from './read-text.ts';

/** Reads and writes what lies one behind the other to the layout, wherever it is. Offsets are the place's own. */
type Place = Eeprom;

/** Throws where there is no such configuration and where it has faults. */
export function openFwEnv(host: Host, config: string): PointerStore {
  const [first, second] = placesOf(host, config);
  const { size } = first;
  if (second === undefined)
    return new PointerStore(
      singleFwEnv(size),
      oneBehindTheOther(
        size,
        [placeOf(host, first), spareOf(host, `${config}.spare`, size)],
        mustBeErased(first),
      ),
    );
  const scheme = isNor(host, first.device) && isNor(host, second.device) ? 'boolean' : 'counter';
  return new PointerStore(
    redundantFwEnv(size, scheme),
    oneBehindTheOther(
      size,
      [placeOf(host, first), placeOf(host, second)],
      mustBeErased(first) ?? mustBeErased(second) ?? conflictOf(first, second),
    ),
  );
}

function placesOf(host: Host, config: string): [EnvPlace] | [EnvPlace, EnvPlace] {
  try {
    const places = parseFwEnvConfig(readText(host, config));
    for (const place of places) place.sectorSize ??= eraseSize(host, place.device);
    return places;
  } catch (error) {
    if (error instanceof FwEnvConfigError) throw new Error(`${config}: ${error.message}`);
    throw error;
  }
}

/** `conflict`: why neither may be written, be it the one or the other that cannot. */
function oneBehindTheOther(
  size: number,
  [first, second]: [Place, Place],
  conflict: string | undefined,
): Eeprom {
  return {
    read(offset, length) {
      const bytes = new Uint8Array(2 * size);
      bytes.set(first.read(0, size));
      bytes.set(second.read(0, size), size);
      return bytes.subarray(offset, offset + length);
    },
    write(offset, bytes) {
      if (conflict !== undefined) throw new PointerRefusedError(`boot pointer not written: ${conflict}`);
      if (offset < size) first.write(offset, bytes);
      else second.write(offset - size, bytes);
    },
  };
}

/** Why raw flash is not written; undefined for what takes bytes as they come. */
function mustBeErased({ device }: EnvPlace): string | undefined {
  return /^\/dev\/(mtd|ubi)\d/.test(device)
    ? `${device} must be erased before it is written, which this agent does not do; ` +
        'name its block device (/dev/mtdblockN) in the configuration'
    : undefined;
}

function placeOf(host: Host, { device, offset, size }: EnvPlace): Place {
  const isDevice = device.startsWith('/dev/');
  return {
    read: (from, length) => host.readStored(device, offset + from, length),
    write(at, bytes) {
      // A file of its own on a file system (uboot.env): U-Boot too finds the former or the new one, whole.
      if (!isDevice && offset === 0 && bytes.length === size && host.readFile(device).length === size)
        host.replaceFile(device, bytes);
      else unlocked(host, device, () => host.writeStored(device, offset + at, bytes));
    },
  };
}

/** The boot partitions of an eMMC are read-only but while somebody writes (Linux' mmc-dev-parts.rst). */
function unlocked(host: Host, device: string, write: () => void): void {
  const name = /^\/dev\/(mmcblk\d+boot\d+)$/.exec(device)?.[1];
  const lock = `/sys/block/${name}/force_ro`;
  const locked = name !== undefined && host.exists(lock) && textOf(host, lock) === '1';
  if (!locked) {
    write();
    return;
  }
  host.writeStored(lock, 0, Uint8Array.of(0x30));
  try {
    write();
  } finally {
    host.writeStored(lock, 0, Uint8Array.of(0x31));
  }
}

function spareOf(host: Host, path: string, size: number): Place {
  return {
    read: () => {
      const found = host.exists(path) ? host.readFile(path) : new Uint8Array(0);
      return found.length === size ? found : new Uint8Array(size);
    },
    write: (_offset, bytes) => host.replaceFile(path, bytes),
  };
}

/** True for MTD devices that are NOR flash, as U-Boot's tools tell them apart; dataflash has its flag byte as well. */
function isNor(host: Host, device: string): boolean {
  return ['nor', 'dataflash'].includes(mtdAttribute(host, device, 'type') ?? '');
}

/** Bytes of an MTD device that are erased at once; undefined for other devices. */
function eraseSize(host: Host, device: string): number | undefined {
  return Number(mtdAttribute(host, device, 'erasesize')) || undefined;
}

function mtdAttribute(host: Host, device: string, name: string): string | undefined {
  const number = /^\/dev\/mtd(?:block)?(\d+)$/.exec(device)?.[1];
  const path = `/sys/class/mtd/mtd${number}/${name}`;
  return number !== undefined && host.exists(path) ? textOf(host, path) : undefined;
}

function textOf(host: Host, path: string): string {
  return readText(host, path).trim();
}
