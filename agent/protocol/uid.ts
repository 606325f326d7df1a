/**
 * The hardware UID of a node: what it is known by when adapters, disks or names change.
 * Text form, lower case, by what it comes from:
 * - an RFC 4122 UUID;
 * - `serial:` and a board serial number;
 * - `tpm:` and the SHA-256 digest of a TPM's endorsement key, 64 hexadecimal digits;
 * - `mac:` and the permanent address of an adapter, with colons.
 */
import { bogusUuid } from './bogus-uids.ts';

export type Uid = string;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const SERIAL = /^serial:[a-z0-9][a-z0-9._:-]{0,62}$/;
const TPM = /^tpm:[0-9a-f]{64}$/;
const MAC = /^mac:[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;

/**
 * The canonical form of `text`, or undefined where it is no UID (or one of the UUIDs boards ship unset). Serial numbers are
 * taken as they are, for an administrator may have chosen them: what firmware says is judged where it is read.
 */
export function parseUid(text: string): Uid | undefined {
  const uid = text.trim().toLowerCase();
  return uidFault(uid) === undefined ? uid : undefined;
}

/** Why a text in lower case is no UID, in words; undefined where it is one. */
export function uidFault(uid: string): string | undefined {
  if (UUID.test(uid)) return bogusUuid(uid);
  if (MAC.test(uid)) return macFault(uid.slice('mac:'.length));
  if (SERIAL.test(uid) || TPM.test(uid)) return undefined;
  if (uid.startsWith('serial:')) return 'a serial number of a UID has 1 to 63 of a-z 0-9 . _ : -';
  return 'it is no UUID';
}

/** Why an address in lower case names no adapter (IEEE 802, 8.2); undefined where it does. */
function macFault(mac: string): string | undefined {
  const first = Number.parseInt(mac.slice(0, 2), 16);
  if (mac === '00:00:00:00:00:00') return 'it is all zeroes';
  if (first & 1) return 'it is a multicast address';
  return first & 2 ? 'it is locally administered: whoever set it may set it again' : undefined;
}

/**
 * UID from the 16 bytes of a DHCP client machine identifier (option 97, RFC 4578 section 2.3).
 * PXE and SMBIOS 2.6 store the first three fields little-endian; everyone prints them big-endian.
 */
export function uidFromGuidBytes(guid: Uint8Array): Uid | undefined {
  if (guid.length !== 16) return undefined;
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  const hex = order.map((i) => guid[i]!.toString(16).padStart(2, '0')).join('');
  return parseUid(
    `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`,
  );
}
