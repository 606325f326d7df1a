/** The node's hardware UID, from the first source that has a real one. */
import { parseUid, type Uid } from '../protocol/uid.ts';
import type { Host } from './host.ts';

/** A file that settles the UID where the board ships none. */
const CONFIGURED = '/etc/bootwright/uid';

const SOURCES = [
  CONFIGURED,
  /** SMBIOS type 1 "UUID", as the kernel shows it. */
  '/sys/class/dmi/id/product_uuid',
  /** Device-tree property "serial-number" of the root node, ended by NUL. */
  '/sys/firmware/devicetree/base/serial-number',
];

/** Throws where no source has a UID, naming the sources. */
export function readUid(host: Host): Uid {
  for (const path of SOURCES) {
    if (!host.exists(path)) continue;
    const text = new TextDecoder().decode(host.readFile(path)).replaceAll('\0', '').trim();
    const uid = parseUid(text) ?? parseUid(`serial:${text}`);
    if (uid !== undefined) return uid;
  }
  throw new Error(`this node has no hardware UID in ${SOURCES.join(', ')}`);
}
