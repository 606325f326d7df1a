/**
 * The names boot loaders ask for their menus by, as values: which menu, and whose. Pure. Nothing of a path reaches
 * the file system: it is only ever compared with these names and with keys of tables.
 */
import { isIpv4, numberToIpv4 } from '../../agent/protocol/ipv4.ts';
import { parseUid, uidFromGuidBytes } from '../../agent/protocol/uid.ts';
import type { FileName } from '../images/image.ts';

/** The menus that are made for each node, under the name their template has. */
export const MENUS = [
  'boot.ipxe',
  'autoexec.ipxe',
  'pxelinux.cfg/default',
  'extlinux/extlinux.conf',
  'grub/grub.cfg',
  'boot.scr.uimg',
  'config.txt',
  'cmdline.txt',
] as const;
export type Menu = (typeof MENUS)[number];

/** By what a path says whose file it is. */
export type Whose =
  /** It does not say. The folders before the file may still be a serial number, a MAC or a UUID. */
  | { by: 'asker'; folders: readonly string[] }
  /** Lower case with colons. */
  | { by: 'mac'; mac: string }
  /** In the form of agent/protocol/uid.ts, but the first three fields may be turned round: see turnedUuid(). */
  | { by: 'uid'; uid: string }
  | { by: 'address'; address: string };

export type MenuPath =
  | { kind: 'menu'; menu: Menu; whose: Whose }
  /** A file of the image that the node boots. */
  | { kind: 'boot-file'; file: LinuxFile; whose: Whose };
export type LinuxFile = Extract<FileName, 'kernel' | 'initrd' | 'dtb'>;

/** Names that stand for one menu wherever they are asked for. */
const BY_NAME: Record<string, Menu> = {
  'boot.ipxe': 'boot.ipxe',
  'autoexec.ipxe': 'autoexec.ipxe',
  'extlinux.conf': 'extlinux/extlinux.conf',
  'grub.cfg': 'grub/grub.cfg',
  // U-Boot's distro boot asks for both (include/config_distro_bootcmd.h: boot_script_dhcp, boot_scripts).
  'boot.scr.uimg': 'boot.scr.uimg',
  'boot.scr': 'boot.scr.uimg',
  'config.txt': 'config.txt',
  'cmdline.txt': 'cmdline.txt',
};

/** The kernels and initial file systems Raspberry Pi's firmware asks for by itself: kernel8.img, kernel_2712.img ... */
const BOOT_FILES: readonly [RegExp, LinuxFile][] = [
  [/^kernel(?:_?\d{1,4}l?)?(?:\.img)?$/, 'kernel'],
  [/^(?:initrd|initramfs(?:_?\d{1,4}l?)?)(?:\.img)?$/, 'initrd'],
  [/^dtb$/, 'dtb'],
];

/**
 * What `path`, in the form of images/tree.ts' normalisePath(), asks for; undefined where it is no menu's name. Folders
 * before the name are a loader's own prefix, or say whose file it is.
 */
export function menuPath(path: string): MenuPath | undefined {
  const parts = path.split('/');
  const name = parts.pop() ?? '';
  if (parts.at(-1) === 'pxelinux.cfg') {
    const whose = pxelinuxKey(name, parts.slice(0, -1));
    return whose && { kind: 'menu', menu: 'pxelinux.cfg/default', whose };
  }
  const asker: Whose = { by: 'asker', folders: parts };
  if (Object.hasOwn(BY_NAME, name)) return { kind: 'menu', menu: BY_NAME[name]!, whose: asker };
  if (name.startsWith('grub.cfg-')) {
    const whose = keyOf(name.slice('grub.cfg-'.length), parts);
    return whose && { kind: 'menu', menu: 'grub/grub.cfg', whose };
  }
  const file = BOOT_FILES.find(([pattern]) => pattern.test(name))?.[1];
  return file && { kind: 'boot-file', file, whose: asker };
}

/** `default`, or with what U-Boot puts behind it: -arm, -arm-bcm283x, -arm-bcm283x-rpi (cmd/pxe.c). */
function pxelinuxKey(name: string, folders: string[]): Whose | undefined {
  return /^default(?:-[\w.-]+)?$/.test(name) ? { by: 'asker', folders } : keyOf(name, folders);
}

/**
 * The keys of PXELINUX (doc/pxelinux.txt) and GRUB: UUID, hardware type and MAC with dashes, IPv4 address in
 * hexadecimal and its shorter beginnings. A beginning identifies nobody, so it is the asker's.
 */
function keyOf(name: string, folders: string[]): Whose | undefined {
  const [, address] = /^([0-9a-f]{1,8})$/i.exec(name) ?? [];
  if (address !== undefined)
    return address.length === 8
      ? { by: 'address', address: numberToIpv4(Number.parseInt(address, 16)) }
      : { by: 'asker', folders };
  const [, behindType] = /^[0-9a-f]{2}-(.*)$/i.exec(name) ?? [];
  const mac = macOf(behindType ?? '');
  if (mac !== undefined) return { by: 'mac', mac };
  const uid = uuidOf(name);
  return uid === undefined ? undefined : { by: 'uid', uid };
}

/** The MAC address a folder or key is, lower case with colons; undefined where it is none. */
export function macOf(text: string): string | undefined {
  return /^[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}$/i.test(text)
    ? text.toLowerCase().replaceAll('-', ':')
    : undefined;
}

/** The UUID a folder or key is, canonical; undefined where it is none. */
export function uuidOf(text: string): string | undefined {
  const uid = parseUid(text);
  return uid?.startsWith('serial:') ? undefined : uid;
}

/**
 * The UUID with the bytes of its first three fields in the other order. PXELINUX prints the bytes of option 97 as they
 * come, and there these fields are little-endian (RFC 4578 section 2.3); so does U-Boot where its `pxeuuid` is set for
 * DHCP to be right. GRUB and people write the other form.
 */
export function turnedUuid(uuid: string): string {
  return uidFromGuidBytes(Buffer.from(uuid.replaceAll('-', ''), 'hex')) ?? uuid;
}

/** `0A4D000B`: how PXELINUX and GRUB write 10.77.0.11. */
export function hexAddress(address: string): string {
  if (!isIpv4(address)) throw new RangeError(`${address} is no IPv4 address`);
  const bytes = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return bytes.join('').toUpperCase();
}
