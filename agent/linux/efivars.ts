/** UEFI variables on Linux (efivarfs): the pointer store `efivars`, and the order in which firmware tries its boot options. */
import {
  ATTRIBUTES_SIZE,
  type BootOption,
  bootOptionName,
  bootOptionNumber,
  decodeBootNumbers,
  decodeBootOption,
  decodeVariable,
  EfiVariableError,
  encodeBootNumbers,
  encodeVariable,
  GLOBAL_GUID,
  POINTER_GUID,
} from '../protocol/pointer/efi-variables.ts';
import { LARGEST_SLOT, slotPair } from '../protocol/pointer/slot-pair.ts';
import { type Eeprom, PointerStore } from '../protocol/pointer/store.ts';
import type { Host } from './host.ts';

export const EFIVARS = '/sys/firmware/efi/efivars';

/** The pointer in the variables under `folder`. Throws where there is no efivarfs. */
export function openEfiPointers(host: Host, folder: string): PointerStore {
  return new PointerStore(
    slotPair('efivars', LARGEST_SLOT),
    variablePair(host, folder, 'BootPointer', LARGEST_SLOT),
  );
}

/**
 * Two variables of our GUID, `NAME0` and `NAME1`, as slots of `size` bytes one behind the other; what one lacks of that reads as
 * zeroes. A write begins where a slot does. Throws where there is no efivarfs.
 */
export function variablePair(host: Host, folder: string, name: string, size: number): Eeprom {
  requireEfivars(host, folder);
  const file = (slot: number) => `${folder}/${name}${slot}-${POINTER_GUID}`;
  return {
    read(offset, length) {
      const image = new Uint8Array(2 * size);
      for (const slot of [0, 1]) image.set(dataOf(host, file(slot))?.subarray(0, size) ?? [], slot * size);
      return image.subarray(offset, offset + length);
    },
    write: (offset, bytes) => host.writeVariable(file(offset / size), encodeVariable(bytes)),
  };
}

/** Boot options are as they were: what was asked for cannot be. */
export class BootOptionsRefusedError extends Error {}

/** Boot options were written, and are not what they should be: they must be read. */
export class BootOptionsUnverifiedError extends Error {}

export interface BootOrder {
  /** The option the machine was booted by; undefined where the firmware does not say. */
  current: number | undefined;
  /** The option for the next boot alone. */
  next: number | undefined;
  order: number[];
  /** By number. */
  options: ({ number: number } & BootOption)[];
}

/** Throws where there is no efivarfs, and EfiVariableError for variables that cannot be read. A damaged option says so. */
export function readBootOrder(host: Host, folder: string = EFIVARS): BootOrder {
  requireEfivars(host, folder);
  const numbers = (name: string) => numbersIn(host, globalFile(folder, name));
  return {
    current: numbers('BootCurrent')[0],
    next: numbers('BootNext')[0],
    order: numbers('BootOrder'),
    options: host.list(folder).flatMap((file) => {
      const name = file.endsWith(`-${GLOBAL_GUID}`) ? file.slice(0, -GLOBAL_GUID.length - 1) : '';
      const number = bootOptionNumber(name);
      return number === undefined ? [] : [{ number, ...optionIn(host, `${folder}/${file}`) }];
    }),
  };
}

function numbersIn(host: Host, file: string): number[] {
  const data = dataOf(host, file);
  return data === undefined ? [] : inFile(file, () => decodeBootNumbers(data));
}

function optionIn(host: Host, file: string): BootOption {
  try {
    return decodeBootOption(dataOf(host, file) ?? new Uint8Array());
  } catch (error) {
    if (!(error instanceof EfiVariableError)) throw error;
    return { active: false, description: `damaged: ${error.message}` };
  }
}

/**
 * Has the firmware take option `number` at the next boot, and only then. Throws BootOptionsRefusedError where there is no such
 * option, BootOptionsUnverifiedError where it reads back differently.
 */
export function setBootNext(host: Host, number: number, folder: string = EFIVARS): void {
  writeNumbers(host, folder, 'BootNext', [number]);
}

/**
 * Replaces BootOrder. Throws BootOptionsRefusedError where one of `order` is no option, or is named twice, and
 * BootOptionsUnverifiedError where it reads back differently.
 */
export function setBootOrder(host: Host, order: readonly number[], folder: string = EFIVARS): void {
  writeNumbers(host, folder, 'BootOrder', order);
}

function writeNumbers(host: Host, folder: string, name: string, numbers: readonly number[]): void {
  const known = readBootOrder(host, folder).options.map(({ number }) => number);
  for (const [i, number] of numbers.entries()) {
    if (!known.includes(number))
      throw new BootOptionsRefusedError(
        `${name} not written: there is no ${bootOptionName(number)}; there are ${known.map(bootOptionName).join(', ')}`,
      );
    if (numbers.indexOf(number) !== i)
      throw new BootOptionsRefusedError(`${name} not written: ${bootOptionName(number)} is named twice`);
  }
  const file = globalFile(folder, name);
  host.writeVariable(file, encodeVariable(encodeBootNumbers(numbers), variableIn(host, file)?.attributes));
  const stored = numbersIn(host, file);
  if (stored.join() !== numbers.join())
    throw new BootOptionsUnverifiedError(`${name} not verified: it reads back differently`);
}

function globalFile(folder: string, name: string): string {
  return `${folder}/${name}-${GLOBAL_GUID}`;
}

function dataOf(host: Host, file: string): Uint8Array | undefined {
  return variableIn(host, file)?.data;
}

/**
 * Undefined where there is no such variable. A file of fewer bytes than the attributes is none either: efivarfs makes the
 * file before the variable, and leaves it empty where the firmware has no room for that.
 */
function variableIn(host: Host, file: string): ReturnType<typeof decodeVariable> | undefined {
  if (!host.exists(file)) return undefined;
  const bytes = host.readFile(file);
  return bytes.length < ATTRIBUTES_SIZE ? undefined : decodeVariable(bytes);
}

/** Errors of `decode` say which file it was. */
function inFile<T>(file: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw error instanceof EfiVariableError ? new EfiVariableError(`${file}: ${error.message}`) : error;
  }
}

/** The kernel makes the folder on every machine with UEFI; mounted, it is never empty. */
function requireEfivars(host: Host, folder: string): void {
  if (!host.exists(folder) || (folder === EFIVARS && host.list(folder).length === 0))
    throw new Error(
      `no UEFI variables at ${folder}: this machine was booted by something else, or efivarfs is not mounted there ` +
        `(mount -t efivarfs efivarfs ${EFIVARS})`,
    );
}
