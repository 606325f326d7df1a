/** Which serial ports this machine has, from sysfs: no udev is needed. */
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface PortInfo {
  /** `/dev/ttyUSB0` */
  path: string;
  /** The kernel's driver of it. */
  driver: string;
  /** Name that stays with the adapter (`/dev/serial/by-id`), where there is one. */
  id: string | null;
}

/** All ports with hardware behind them, by name; numbers sort by value. */
export function listPorts(sys = '/sys/class/tty', dev = '/dev'): PortInfo[] {
  const ids = idsOf(join(dev, 'serial/by-id'));
  return namesIn(sys)
    .filter((name) => isPort(join(sys, name)))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .map((name) => {
      const path = join(dev, name);
      return { path, driver: driverOf(join(sys, name)) ?? '', id: ids.get(path) ?? null };
    });
}

/** Virtual consoles have no device; the kernel's table of UARTs has lines of type 0 for those that are not there. */
function isPort(folder: string): boolean {
  if (driverOf(folder) === undefined) return false;
  try {
    return readFileSync(join(folder, 'type'), 'latin1').trim() !== '0';
  } catch {
    return true;
  }
}

function driverOf(folder: string): string | undefined {
  try {
    return basename(readlinkSync(join(folder, 'device/driver')));
  } catch {
    return undefined;
  }
}

function idsOf(folder: string): Map<string, string> {
  return new Map(
    namesIn(folder).map((name) => {
      const link = join(folder, name);
      return [realpathSync(link), link];
    }),
  );
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
