/**
 * UEFI variables as Linux shows them in efivarfs (Documentation/filesystems/efivarfs.rst): a file `NAME-GUID`, of 4 bytes of
 * attributes, little-endian, and the data. Attributes and data are written in one write(2).
 *
 * The boot pointer is in two variables of a GUID of our own, `BootPointer0` and `BootPointer1`, each with one binary slot
 * (binary-slot.ts) as its data. Firmware replaces a variable as a whole (UEFI 2.10 section 8.2, SetVariable()); with two
 * of them it does not have to.
 */

/** Of `BootPointer0` and `BootPointer1`; drawn at random for them. */
export const POINTER_GUID = '07957ab7-3a7d-4dc1-b751-9123d6f42f29';
/** EFI_GLOBAL_VARIABLE (UEFI 2.10 section 3.3): of `BootOrder`, `BootNext`, `Boot####`. */
export const GLOBAL_GUID = '8be4df61-93ca-11d2-aa0d-00e098032b8c';

/** EFI_VARIABLE_NON_VOLATILE, BOOTSERVICE_ACCESS and RUNTIME_ACCESS (section 8.2). */
export const STORED_FOR_ALL = 0x7;

export class EfiVariableError extends Error {}

/** Bytes before the data. */
export const ATTRIBUTES_SIZE = 4;

/** What a file of efivarfs holds for a variable. */
export function encodeVariable(data: Uint8Array, attributes = STORED_FOR_ALL): Uint8Array {
  const bytes = new Uint8Array(ATTRIBUTES_SIZE + data.length);
  new DataView(bytes.buffer).setUint32(0, attributes, true);
  bytes.set(data, ATTRIBUTES_SIZE);
  return bytes;
}

/** The data of a variable. Throws EfiVariableError for a file without attributes. */
export function decodeVariable(bytes: Uint8Array): { attributes: number; data: Uint8Array } {
  if (bytes.length < ATTRIBUTES_SIZE)
    throw new EfiVariableError(`variable of ${bytes.length} bytes, attributes alone have ${ATTRIBUTES_SIZE}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { attributes: view.getUint32(0, true), data: bytes.subarray(ATTRIBUTES_SIZE) };
}

/** Numbers of boot options: BootOrder, and BootNext where there is one of them. 16 bits each (section 3.3). */
export function decodeBootNumbers(data: Uint8Array): number[] {
  if (data.length % 2 !== 0) throw new EfiVariableError(`boot options in ${data.length} bytes, 2 are one`);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return Array.from({ length: data.length / 2 }, (_, i) => view.getUint16(2 * i, true));
}

export function encodeBootNumbers(numbers: readonly number[]): Uint8Array {
  const data = new Uint8Array(2 * numbers.length);
  const view = new DataView(data.buffer);
  for (const [i, number] of numbers.entries()) view.setUint16(2 * i, number, true);
  return data;
}

/** `Boot0003` of 3: four hexadecimal digits, upper case (section 3.3). */
export function bootOptionName(number: number): string {
  return `Boot${number.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** The number in a name like `Boot000A`; undefined for other names. */
export function bootOptionNumber(name: string): number | undefined {
  const digits = /^Boot([0-9A-F]{4})$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
}

export interface BootOption {
  /** LOAD_OPTION_ACTIVE: tried when its turn comes. */
  active: boolean;
  description: string;
}

/**
 * EFI_LOAD_OPTION (section 3.1.3): attributes, 4 bytes; length of the device path, 2; description in UCS-2, ended by a
 * zero; the device path; data. Throws EfiVariableError where it ends too early.
 */
export function decodeBootOption(data: Uint8Array): BootOption {
  if (data.length < 8) throw new EfiVariableError(`boot option of ${data.length} bytes`);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  let description = '';
  for (let at = 6; ; at += 2) {
    if (at + 2 > data.length) throw new EfiVariableError('boot option whose description has no end');
    const unit = view.getUint16(at, true);
    if (unit !== 0) {
      description += String.fromCharCode(unit);
      continue;
    }
    const path = view.getUint16(4, true);
    if (at + 2 + path > data.length)
      throw new EfiVariableError(`boot option of ${data.length} bytes, its device path alone takes ${path}`);
    return { active: (view.getUint32(0, true) & 1) === 1, description };
  }
}
