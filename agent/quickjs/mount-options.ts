/** mount(8) option strings as mount(2) takes them: flags and the file system's own data (linux/mount.h). */

const FLAGS: Record<string, number> = {
  ro: 0x1,
  nosuid: 0x2,
  nodev: 0x4,
  noexec: 0x8,
  sync: 0x10,
  remount: 0x20,
  dirsync: 0x80,
  noatime: 0x400,
  nodiratime: 0x800,
  bind: 0x1000,
  move: 0x2000,
  rbind: 0x1000 | 0x4000,
  silent: 0x8000,
  relatime: 0x200000,
  strictatime: 0x1000000,
  lazytime: 0x2000000,
  private: 0x40000,
  rprivate: 0x40000 | 0x4000,
  shared: 0x100000,
};
/** Options that stand for the absence of a flag. */
const NOTHING = new Set(['', 'defaults', 'rw', 'suid', 'dev', 'exec', 'async', 'atime', 'diratime']);

/** `ro,noatime,size=1m` -> flags MS_RDONLY | MS_NOATIME and data `size=1m`. */
export function parseMountOptions(options: string): { flags: number; data: string } {
  let flags = 0;
  const data: string[] = [];
  for (const option of options.split(',')) {
    const flag = FLAGS[option];
    if (flag !== undefined) flags |= flag;
    else if (!NOTHING.has(option)) data.push(option);
  }
  return { flags, data: data.join(',') };
}
