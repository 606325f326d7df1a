/**
 * UUIDs and serial numbers that boards ship where nobody set any: many machines have the same, so they name none. The lists
 * are as others who identify machines have met them; no list is complete. Pure.
 */

/** With where each is known from. What a rule below catches is not here. */
const UUIDS: Readonly<Record<string, string>> = {
  // The bytes 00 02 00 03 00 04 ... of AMI's reference BIOS, read as SMBIOS 2.6 has them: X99 boards, Beelink and other mini PCs.
  '03000200-0400-0500-0006-000700080009': 'left as in the reference BIOS of AMI',
  // The same bytes read as before SMBIOS 2.6: ASUS P4C800, MSI MS-7242, Jetway K7NF2.
  '00020003-0004-0005-0006-000700080009': 'left as in the reference BIOS of AMI',
  // FOG project's list of hosts' UUIDs.
  '12345678-1234-5678-90ab-cddeefaabbcc': 'a placeholder',
  '12345678-1234-1234-1234-123456789abc': 'a placeholder',
  '12345678-1234-5678-1234-567812345678': 'a placeholder',
  // systemd's sd-id128, "obviously bogus".
  '00010203-0405-0607-0809-0a0b0c0d0e0f': 'bytes counted up',
  '01020304-0506-0708-090a-0b0c0d0e0f10': 'bytes counted up',
  // The same, read little-endian.
  '03020100-0504-0706-0809-0a0b0c0d0e0f': 'bytes counted up',
  '04030201-0605-0807-090a-0b0c0d0e0f10': 'bytes counted up',
  // Lists of CapaSystems and Rockstor.
  '07090201-0103-0301-0807-060504030201': 'the same on many boards',
  '00000000-0000-0000-0807-060504030201': 'the same on many boards',
  'dc698397-fa54-4cf2-82c8-b1b5307a6a7f': 'the same on many boards',
  '8e275844-178f-44a8-aceb-a7d7e5178c63': 'the same on many boards',
  '890e2d14-cacd-45d1-ae66-bc80e8bfeb0f': 'the same on many boards',
  // EDK II platform code that boards were made from: SolidRun LX2160A, Intel IPU.
  '8a95d198-7f46-11e5-bf8b-08002704d48e': 'left as in EDK II',
};

/** Without anything but letters and digits, in lower case: vendors write each of them in several ways. */
const SERIALS: Readonly<Record<string, string>> = {
  // AMI's reference BIOS: "To be filled by O.E.M." (ASRock, MSI, Gigabyte), "Default string" (Aptio V: mini PCs, X99 boards).
  tobefilledbyoem: 'left for the maker to fill in',
  defaultstring: 'left for the maker to fill in',
  // "System Serial Number", "Chassis Serial Number": ASUS; "Base Board Serial Number": MSI, ASUS; FOG's "Type2 - Board Serial Number".
  systemserialnumber: 'the name of the field',
  chassisserialnumber: 'the name of the field',
  baseboardserialnumber: 'the name of the field',
  boardserialnumber: 'the name of the field',
  type2boardserialnumber: 'the name of the field',
  serialnumber: 'the name of the field',
  serial: 'the name of the field',
  sernum: 'the name of the field',
  // dmidecode's and coreboot's word for a text that is not there, and what vendors write for the same.
  notspecified: 'a word for none',
  notapplicable: 'a word for none',
  notavailable: 'a word for none',
  notpresent: 'a word for none',
  none: 'a word for none',
  na: 'a word for none',
  null: 'a word for none',
  empty: 'a word for none',
  unknown: 'a word for none',
  invalid: 'a word for none',
  default: 'a word for none',
  oem: 'a word for none',
  // "0123456789" and its like: Intel reference boards, System76's coreboot; "MB-1234567890": ASUS P4C800.
  '0123456789': 'digits counted up',
  '01234567890123456789': 'digits counted up',
  '0123456789ab': 'digits counted up',
  '0123456789abcdef': 'digits counted up',
  '012345678': 'digits counted up',
  '01234567': 'digits counted up',
  '123456': 'digits counted up',
  '1234567': 'digits counted up',
  '12345678': 'digits counted up',
  '123456789': 'digits counted up',
  '1234567890': 'digits counted up',
  '123456789012': 'digits counted up',
  '123456789abc': 'digits counted up',
  '123456789abcdef': 'digits counted up',
  mb1234567890: 'digits counted up',
  '987654321': 'digits counted down',
  '9876543210': 'digits counted down',
};

/** Why a UUID in its canonical form names no machine, in words; undefined where it does. */
export function bogusUuid(uuid: string): string | undefined {
  const digits = uuid.replaceAll('-', '');
  // SMBIOS (DSP0134), 7.2.1: all zeroes is "not present", all ones "not set". Other bytes: X (58) and fe have been seen.
  if (/^(..)\1{15}$/.test(digits)) return `all of its bytes are ${digits.slice(0, 2)}`;
  // 56f49712-ffff-ffff-ffff-ffffffffffff and others like it (CapaSystems), ffffff00-ffff-ffff-ffff-ffffffffffff (FOG).
  if (digits.endsWith('f'.repeat(24))) return 'all but its first bytes are ff';
  return UUIDS[uuid];
}

/** The same of a serial number. */
export function bogusSerial(serial: string): string | undefined {
  const bare = serial.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  if (bare === '') return 'it has no letter and no digit';
  // 00000000 (Jetway), xxxxxxxx, 1111111.
  if (/^(.)\1*$/.test(bare)) return `it is nothing but ${bare[0]}`;
  // Boards repeat their UUID where a serial number should be.
  const uuid = /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/.exec(bare);
  const fault = uuid === null ? undefined : bogusUuid(uuid.slice(1).join('-'));
  if (fault !== undefined) return fault;
  return Object.hasOwn(SERIALS, bare) ? SERIALS[bare] : undefined;
}
