/**
 * Makes an ext4 file system from a list of entries, without mounting it and without being root: mke2fs lays it out,
 * debugfs fills it. Both take their time, identifiers and order from here, so that the same entries give the same bytes.
 */
import { createHash } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncPath } from '../storage/durable.ts';
import { CommandError, command } from './command.ts';
import { withWorkFolder } from './work-folder.ts';

export type DiskEntry =
  /** `owner`: user and group number, root's where absent. */
  | { path: string; type: 'directory'; mode?: number; owner?: number }
  | { path: string; type: 'file'; content: Uint8Array; mode?: number }
  | { path: string; type: 'symlink'; target: string };

export interface Ext4Options {
  bytes: number;
  label: string;
  /** The file system's UUID and the seed of its directory hashes. */
  uuid: string;
}

export const BLOCK_BYTES = 4096;
/** Times of everything in the file system: seconds since the epoch. 0 would mean "now" to e2fsprogs. */
const TIME = 1;
const INODES = 16384;
/** Named one by one: the defaults differ between releases, and the node's kernel must know them all. */
const FEATURES = [
  'none',
  'has_journal',
  'ext_attr',
  'dir_index',
  'filetype',
  'extent',
  '64bit',
  'flex_bg',
  'sparse_super',
  'large_file',
  'huge_file',
  'dir_nlink',
  'extra_isize',
  'metadata_csum',
];
const PACKAGE = { package: 'e2fsprogs' };

/** A hash of all that makes the file system: equal where its bytes are. */
export function fingerprint(entries: readonly DiskEntry[], options: Ext4Options): string {
  const hash = createHash('sha256').update(JSON.stringify([options, FEATURES, INODES, TIME]));
  for (const entry of entries) {
    const { path, type } = entry;
    hash.update(JSON.stringify([path, type, 'mode' in entry ? entry.mode : 0, ownerOf(entry)]));
    hash.update(type === 'file' ? createHash('sha256').update(entry.content).digest() : '');
    hash.update(type === 'symlink' ? entry.target : '');
  }
  return hash.digest('hex');
}

/**
 * Writes the file system to `file`, sparse, checked and whole when it resolves. Parent
 * folders come before what is in them. Rejects with CommandError where a tool is missing or complains.
 */
export async function writeExt4(
  file: string,
  entries: readonly DiskEntry[],
  options: Ext4Options,
): Promise<void> {
  const env = { MKE2FS_CONFIG: '/dev/null', E2FSPROGS_FAKE_TIME: String(TIME) };
  await withWorkFolder(dirname(file), async (work) => {
    const image = join(work, 'image');
    await command(mkfs(image, options), { env, ...PACKAGE });
    const sources = new Map<DiskEntry, string>();
    for (const [index, entry] of entries.entries()) {
      if (entry.type !== 'file') continue;
      sources.set(entry, join(work, String(index)));
      await writeFile(join(work, String(index)), entry.content);
    }
    const script = join(work, 'script');
    await writeFile(
      script,
      fillScript(entries, (entry) => sources.get(entry)!),
    );
    await fill(image, script, env);
    await command(['e2fsck', '-fn', image], PACKAGE);
    syncPath(image);
    await rename(image, file);
  });
}

function mkfs(image: string, { bytes, label, uuid }: Ext4Options): string[] {
  // No lazy initialisation: the node's kernel would do it over the network, after mounting.
  const extended = `hash_seed=${uuid},lazy_itable_init=0,lazy_journal_init=0,nodiscard,root_owner=0:0`;
  const layout = ['-b', String(BLOCK_BYTES), '-I', '256', '-N', String(INODES), '-J', 'size=8', '-m', '0'];
  const identity = ['-L', label, '-U', uuid, '-E', extended, '-O', FEATURES.join(',')];
  return ['mke2fs', '-q', '-F', '-t', 'ext4', ...layout, ...identity, image, `${bytes / 1024}k`];
}

/**
 * debugfs commands, debugfs(8). Each entry is made from within its folder: `write` takes no path, and `mkdir /NAME`
 * makes NAME in the current folder. Modes are set afterwards, because `write` leaves out set-id and sticky bits.
 */
export function fillScript(entries: readonly DiskEntry[], source: (entry: DiskEntry) => string): string {
  const lines: string[] = [];
  for (const entry of entries) {
    const path = `/${entry.path}`;
    if (/[\s"]|\/\/|\/$/.test(path))
      throw new Error(`no path for a disk image: ${JSON.stringify(entry.path)}`);
    const name = path.slice(path.lastIndexOf('/') + 1);
    lines.push(`cd ${dirname(path)}`);
    if (entry.type === 'directory')
      lines.push(`mkdir ${name}`, setMode(name, 0o040000 | (entry.mode ?? 0o755)));
    else if (entry.type === 'symlink') lines.push(`symlink ${name} ${entry.target}`);
    else lines.push(`write ${source(entry)} ${name}`, setMode(name, 0o100000 | (entry.mode ?? 0o644)));
    const owner = ownerOf(entry);
    if (owner !== 0) lines.push(`sif ${name} uid ${owner}`, `sif ${name} gid ${owner}`);
  }
  return `${lines.join('\n')}\n`;
}

function ownerOf(entry: DiskEntry): number {
  return (entry.type === 'directory' ? entry.owner : undefined) ?? 0;
}

function setMode(name: string, mode: number): string {
  return `sif ${name} mode 0${mode.toString(8)}`;
}

/** debugfs ends with 0 whatever its commands did; what goes wrong it prints as `NAME: message`. */
async function fill(image: string, script: string, env: Record<string, string>): Promise<void> {
  const output = String(
    await command(['sh', '-c', 'exec debugfs -w -f "$0" "$1" 2>&1', script, image], { env, ...PACKAGE }),
  );
  const complaint = output
    .split('\n')
    .find((line) => line !== '' && !/^(debugfs[: ]|Allocated inode: )/.test(line));
  if (complaint !== undefined) throw new CommandError(`debugfs could not fill the disk image: ${complaint}`);
}
