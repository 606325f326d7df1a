/**
 * The hardware UID of a node: what it is known by when adapters, disks or names change.
 * Text form, lower case: an RFC 4122 UUID, or `serial:` and a board serial number.
 */
export type Uid = string;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const SERIAL = /^serial:[a-z0-9][a-z0-9._:-]{0,62}$/;
const BOGUS_UUIDS = new Set(['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff']);

/** The canonical form of `text`, or undefined where it is no UID (or one of the values boards ship unset). */
export function parseUid(text: string): Uid | undefined {
  const uid = text.trim().toLowerCase();
  if (UUID.test(uid)) return BOGUS_UUIDS.has(uid) ? undefined : uid;
  return SERIAL.test(uid) ? uid : undefined;
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
