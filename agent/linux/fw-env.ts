/**
 * Pointer store `fw-env`: U-Boot's own environment, where /etc/fw_env.config or a file like it says it is. Beside a single
 * environment's configuration lies our spare copy of it, `CONFIG.spare`.
 */
import { redundantFwEnv, singleFwEnv } from '../protocol/pointer/fw-env.ts';
import { type EnvPlace, FwEnvConfigError, parseFwEnvConfig } from '../protocol/pointer/fw-env-config.ts';
import { type Eeprom, PointerRefusedError, PointerStore } from '../protocol/pointer/store.ts';
import type { Host } from './host.ts';

/** Reads and writes what lies one behind the other to the layout, wherever it is. Offsets are the place's own. */
type Place = Eeprom;

/** Throws where there is no such configuration and where it has faults. */
export function openFwEnv(host: Host, config: string): PointerStore {
  const places = placesOf(host, config);
  const [first, second] = places;
  if (second === undefined)
    return new PointerStore(
      singleFwEnv(first.size),
      oneBehindTheOther(first.size, [placeOf(host, first), spareOf(host, `${config}.spare`, first.size)]),
    );
  const scheme = places.every(({ device }) => isNor(host, device)) ? 'boolean' : 'counter';
  return new PointerStore(
    redundantFwEnv(first.size, scheme),
    oneBehindTheOther(first.size, [placeOf(host, first), placeOf(host, second)]),
  );
}

function placesOf(host: Host, config: string): [EnvPlace] | [EnvPlace, EnvPlace] {
  try {
    return parseFwEnvConfig(new TextDecoder().decode(host.readFile(config)));
  } catch (error) {
    if (error instanceof FwEnvConfigError) throw new Error(`${config}: ${error.message}`);
    throw error;
  }
}

function oneBehindTheOther(size: number, [first, second]: [Place, Place]): Eeprom {
  return {
    read(offset, length) {
      const bytes = new Uint8Array(2 * size);
      bytes.set(first.read(0, size));
      bytes.set(second.read(0, size), size);
      return bytes.subarray(offset, offset + length);
    },
    write: (offset, bytes) =>
      offset < size ? first.write(offset, bytes) : second.write(offset - size, bytes),
  };
}

function placeOf(host: Host, { device, offset, size }: EnvPlace): Place {
  const isDevice = device.startsWith('/dev/');
  return {
    read: (from, length) => host.readStored(device, offset + from, length),
    write(at, bytes) {
      if (/^\/dev\/(mtd|ubi)\d/.test(device))
        throw new PointerRefusedError(
          `boot pointer not written: ${device} must be erased before it is written, which this agent does not do; name its block device (/dev/mtdblockN) in the configuration`,
        );
      // A file of its own on a file system (uboot.env): U-Boot too finds the former or the new one, whole.
      if (!isDevice && offset === 0 && bytes.length === size && host.readFile(device).length === size)
        host.replaceFile(device, bytes);
      else host.writeStored(device, offset + at, bytes);
    },
  };
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
  const number = /^\/dev\/mtd(?:block)?(\d+)$/.exec(device)?.[1];
  const type = `/sys/class/mtd/mtd${number}/type`;
  return (
    number !== undefined &&
    host.exists(type) &&
    ['nor', 'dataflash'].includes(new TextDecoder().decode(host.readFile(type)).trim())
  );
}
