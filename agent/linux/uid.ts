/** The node's hardware UID, from the first source that has a real one. */
import { parseUid, type Uid } from '../protocol/uid.ts';
import type { Host } from './host.ts';

const SOURCES = [
  /** A file that settles the UID where the board ships none. */
  { path: '/etc/bootwright/uid', serial: false },
  /** SMBIOS type 1 "UUID", as the kernel shows it. */
  { path: '/sys/class/dmi/id/product_uuid', serial: false },
  /** SMBIOS type 1 "Serial Number". */
  { path: '/sys/class/dmi/id/product_serial', serial: true },
  /** Device-tree property "serial-number" of the root node, ended by NUL. */
  { path: '/sys/firmware/devicetree/base/serial-number', serial: true },
];

/** Throws where no source has a UID, naming the sources. */
export function readUid(host: Host): Uid {
  for (const { path, serial } of SOURCES) {
    if (!host.exists(path)) continue;
    const text = new TextDecoder().decode(host.readFile(path)).replaceAll('\0', '').trim();
    const uid = parseUid(text) ?? (serial ? parseUid(`serial:${text}`) : undefined);
    if (uid !== undefined) return uid;
  }
  throw new Error(`this node has no hardware UID in ${SOURCES.map(({ path }) => path).join(', ')}`);
}
