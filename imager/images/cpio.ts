/**
 * Writes cpio archives in the "newc" format, which is what the kernel takes as an initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst). Pure and deterministic: every time is 0, inode
 * numbers count up in the order of the archive, and folders come before what is in them.
 */
import { joined } from '../../agent/protocol/joined.ts';

export type CpioEntry =
  | { path: string; type: 'directory'; mode?: number }
  | { path: string; type: 'file'; content: Uint8Array; mode?: number }
  | { path: string; type: 'symlink'; target: string }
  | { path: string; type: 'character-device'; major: number; minor: number; mode?: number };

/** File type bits of a mode (inode(7)). */
const TYPE_BITS = {
  directory: 0o040000,
  file: 0o100000,
  symlink: 0o120000,
  'character-device': 0o020000,
} as const;
const DEFAULT_MODE = { directory: 0o755, file: 0o644, symlink: 0o777, 'character-device': 0o600 } as const;

const HEADER_BYTES = 110;
const TRAILER = 'TRAILER!!!';
const MAX_FILE = 0xffff_ffff;

/** The archive of `entries`, in their order. Throws as checkEntries() does. */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  checkEntries(entries);
  const parts = entries.flatMap((entry, index) => member(entry, index + 1));
  parts.push(
    ...record({ path: TRAILER, inode: 0, mode: 0, links: 1, major: 0, minor: 0, data: new Uint8Array() }),
  );
  return joined(parts);
}

/**
 * Paths are relative, without '.', '..' or doubled slashes, and each parent folder must have come before. Throws where one is not
 * so, or comes twice.
 */
export function checkEntries(entries: readonly CpioEntry[]): void {
  const folders = new Set(['']);
  const paths = new Set<string>();
  for (const { path, type } of entries) {
    checkPath(path, folders, paths);
    paths.add(path);
    if (type === 'directory') folders.add(path);
  }
}

function checkPath(path: string, folders: ReadonlySet<string>, paths: ReadonlySet<string>): void {
  const names = path.split('/');
  if (
    path === TRAILER ||
    names.some((name) => name === '' || name === '.' || name === '..' || name.includes('\0'))
  )
    throw new Error(`cpio: ${JSON.stringify(path)} is no relative path`);
  if (paths.has(path)) throw new Error(`cpio: ${path} comes twice`);
  if (!folders.has(names.slice(0, -1).join('/')))
    throw new Error(`cpio: the folder of ${path} does not come before it`);
}

function member(entry: CpioEntry, inode: number): Uint8Array[] {
  const mode =
    TYPE_BITS[entry.type] | (('mode' in entry ? entry.mode : undefined) ?? DEFAULT_MODE[entry.type]);
  return record({
    path: entry.path,
    inode,
    mode,
    links: entry.type === 'directory' ? 2 : 1,
    major: entry.type === 'character-device' ? entry.major : 0,
    minor: entry.type === 'character-device' ? entry.minor : 0,
    data: dataOf(entry),
  });
}

function dataOf(entry: CpioEntry): Uint8Array {
  if (entry.type === 'file') return entry.content;
  return new TextEncoder().encode(entry.type === 'symlink' ? entry.target : '');
}

interface Fields {
  path: string;
  inode: number;
  mode: number;
  links: number;
  major: number;
  minor: number;
  data: Uint8Array;
}

/**
 * One member: magic and thirteen fields of eight hexadecimal digits, the path with its NUL, the data; header with
 * path, and data, are each padded with NULs to four bytes.
 */
function record({ path, inode, mode, links, major, minor, data }: Fields): Uint8Array[] {
  if (data.length > MAX_FILE) throw new Error(`cpio: ${path} is longer than 4 GiB`);
  const name = new TextEncoder().encode(`${path}\0`);
  const header = [
    inode,
    mode,
    0, // uid
    0, // gid
    links,
    0, // mtime
    data.length,
    0, // device of the file system, major
    0, // and minor
    major,
    minor,
    name.length,
    0, // checksum, of the "crc" variant alone
  ];
  const digits = header.map((field) => field.toString(16).padStart(8, '0')).join('');
  return [
    new TextEncoder().encode(`070701${digits}`),
    name,
    padding(HEADER_BYTES + name.length),
    data,
    padding(data.length),
  ];
}

function padding(length: number): Uint8Array {
  return new Uint8Array(-length & 3);
}
