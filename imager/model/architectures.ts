/**
 * Kinds of firmware as option 93 numbers them: the types of RFC 4578 section 2.1 with its erratum 4624, continued in
 * IANA's "Processor Architecture Types". Those that nobody builds any more are left out.
 */

/** What the firmware's loader can run. */
export type FirmwareKind = 'bios' | 'efi' | 'uboot' | 'other';

export interface Architecture {
  /** Option 93. */
  number: number;
  /** In configuration files. */
  name: string;
  kind: FirmwareKind;
  /** Loads its boot file by HTTP: it wants a URL and the vendor class HTTPClient. */
  http: boolean;
  /** For messages. */
  words: string;
}

const TABLE: readonly (readonly [number, string, FirmwareKind, string])[] = [
  [0, 'bios', 'bios', 'x86 BIOS'],
  [2, 'efi-itanium', 'efi', 'Itanium UEFI'],
  [6, 'efi-ia32', 'efi', '32-bit x86 UEFI'],
  [7, 'efi-x64', 'efi', 'x86-64 UEFI'],
  // RFC 4578 had 7 and 9 the other way round: x86-64 firmware that followed its text sends 9.
  [9, 'efi-bc', 'efi', 'EFI byte code, or x86-64 UEFI by the text of RFC 4578'],
  [10, 'efi-arm32', 'efi', '32-bit Arm UEFI'],
  [11, 'efi-arm64', 'efi', '64-bit Arm UEFI'],
  [12, 'ppc-ofw', 'other', 'PowerPC Open Firmware'],
  [13, 'ppc-epapr', 'other', 'PowerPC ePAPR'],
  [14, 'ppc-opal', 'other', 'POWER OPAL v3'],
  [15, 'http-ia32', 'efi', '32-bit x86 UEFI, HTTP boot'],
  [16, 'http-x64', 'efi', 'x86-64 UEFI, HTTP boot'],
  [17, 'http-bc', 'efi', 'EFI byte code, HTTP boot'],
  [18, 'http-arm32', 'efi', '32-bit Arm UEFI, HTTP boot'],
  [19, 'http-arm64', 'efi', '64-bit Arm UEFI, HTTP boot'],
  [20, 'http-bios', 'bios', 'x86 BIOS, HTTP boot'],
  [21, 'uboot-arm32', 'uboot', '32-bit Arm U-Boot'],
  [22, 'uboot-arm64', 'uboot', '64-bit Arm U-Boot'],
  [23, 'http-uboot-arm32', 'uboot', '32-bit Arm U-Boot, HTTP boot'],
  [24, 'http-uboot-arm64', 'uboot', '64-bit Arm U-Boot, HTTP boot'],
  [25, 'efi-riscv32', 'efi', '32-bit RISC-V UEFI'],
  [26, 'http-riscv32', 'efi', '32-bit RISC-V UEFI, HTTP boot'],
  [27, 'efi-riscv64', 'efi', '64-bit RISC-V UEFI'],
  [28, 'http-riscv64', 'efi', '64-bit RISC-V UEFI, HTTP boot'],
  [29, 'efi-riscv128', 'efi', '128-bit RISC-V UEFI'],
  [30, 'http-riscv128', 'efi', '128-bit RISC-V UEFI, HTTP boot'],
  [31, 's390', 'other', 's390 Basic'],
  [32, 's390x', 'other', 's390 Extended'],
  [37, 'efi-loongarch32', 'efi', '32-bit LoongArch UEFI'],
  [38, 'http-loongarch32', 'efi', '32-bit LoongArch UEFI, HTTP boot'],
  [39, 'efi-loongarch64', 'efi', '64-bit LoongArch UEFI'],
  [40, 'http-loongarch64', 'efi', '64-bit LoongArch UEFI, HTTP boot'],
];

export const ARCHITECTURES: readonly Architecture[] = TABLE.map(([number, name, kind, words]) => ({
  number,
  name,
  kind,
  words,
  http: name.startsWith('http-'),
}));

const BY_NUMBER = new Map(ARCHITECTURES.map((architecture) => [architecture.number, architecture]));
const BY_NAME = new Map(ARCHITECTURES.map((architecture) => [architecture.name, architecture]));

/** The architecture that option 93 calls `number`; undefined where it is not in the table. */
export function architectureOf(number: number): Architecture | undefined {
  return BY_NUMBER.get(number);
}

/** The architecture configuration files call `name`. */
export function architectureNamed(name: string): Architecture | undefined {
  return BY_NAME.get(name);
}
