/** What is on a base disk besides programs and libraries: accounts, init's table, the web server's configuration. */
import type { DiskEntry } from './ext4.ts';

/** The service that tells whether a node is up: one process in the foreground, started again by init where it ends. */
const INITTAB = `# busybox init. The agent has mounted /dev, /proc and /sys, and goes on as a child of init.
::respawn:/usr/sbin/lighttpd -D -f /etc/lighttpd/lighttpd.conf
::ctrlaltdel:/sbin/reboot
::shutdown:/bin/sync
`;

const LIGHTTPD = `server.document-root = "/srv/www"
server.port = 80
server.username = "www-data"
server.groupname = "www-data"
server.errorlog = "/var/log/lighttpd/error.log"
server.modules = ( "mod_accesslog" )
accesslog.filename = "/var/log/lighttpd/access.log"
# What a script has just written is what the next request gets.
server.stat-cache-engine = "disable"
index-file.names = ( "index.html" )
mimetype.assign = (
  ".html" => "text/html; charset=utf-8",
  ".json" => "application/json",
  ".txt" => "text/plain; charset=utf-8",
  "" => "application/octet-stream"
)
`;

const INDEX = `<!doctype html>
<title>Bootwright node</title>
<p>This node runs from its base disk. Its configuration has not been applied yet.</p>
`;

/** User and group number of the web server, as in Debian. */
const WWW_DATA = 33;

const FILES: Record<string, string> = {
  'etc/fstab': '# The agent mounts what this node has.\n',
  'etc/group': `root:x:0:\nwww-data:x:${WWW_DATA}:\nnogroup:x:65534:\n`,
  'etc/hosts': '127.0.0.1 localhost\n::1 localhost\n',
  'etc/inittab': INITTAB,
  'etc/lighttpd/lighttpd.conf': LIGHTTPD,
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  'etc/passwd':
    `root:x:0:0:root:/root:/bin/sh\nwww-data:x:${WWW_DATA}:${WWW_DATA}:www-data:/srv/www:/usr/sbin/nologin\n` +
    'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  'etc/profile': 'export PATH=/usr/sbin:/usr/bin:/sbin:/bin\n',
  'etc/resolv.conf': '',
  'etc/shells': '/bin/sh\n',
  'srv/www/index.html': INDEX,
};

/** Folder to mode. */
const FOLDERS: Record<string, number> = {
  boot: 0o755,
  dev: 0o755,
  mnt: 0o755,
  proc: 0o555,
  root: 0o700,
  run: 0o755,
  sys: 0o555,
  tmp: 0o1777,
  'usr/bin': 0o755,
  'usr/lib': 0o755,
  'usr/lib64': 0o755,
  'usr/sbin': 0o755,
  'var/lib/bootwright': 0o700,
  'var/tmp': 0o1777,
};

/** /bin, /sbin and the libraries live under /usr, as in Debian. */
const LINKS: Record<string, string> = {
  bin: 'usr/bin',
  'etc/mtab': '/proc/self/mounts',
  lib: 'usr/lib',
  lib64: 'usr/lib64',
  sbin: 'usr/sbin',
  'var/run': '/run',
};

/** Entries that are the same for every architecture, in no particular order and without their parent folders. */
export function fixedEntries(): DiskEntry[] {
  return [
    ...Object.entries(FOLDERS).map(([path, mode]): DiskEntry => ({ path, type: 'directory', mode })),
    // lighttpd opens its logs once it is www-data.
    { path: 'var/log/lighttpd', type: 'directory', mode: 0o750, owner: WWW_DATA },
    ...Object.entries(FILES).map(
      ([path, text]): DiskEntry => ({ path, type: 'file', content: Buffer.from(text) }),
    ),
    ...Object.entries(LINKS).map(([path, target]): DiskEntry => ({ path, type: 'symlink', target })),
    // Nobody logs in with a password.
    {
      path: 'etc/shadow',
      type: 'file',
      content: Buffer.from('root:*:19000::::::\nwww-data:*:19000::::::\n'),
      mode: 0o600,
    },
  ];
}

/** `entries` in an order a file system can be filled in: by path, each once, with the parent folders they lack. */
export function inOrder(entries: readonly DiskEntry[]): DiskEntry[] {
  const byPath = new Map<string, DiskEntry>();
  for (const entry of entries) {
    if (byPath.has(entry.path)) throw new Error(`${entry.path} comes twice on the disk`);
    byPath.set(entry.path, entry);
  }
  for (const { path } of entries) {
    const parts = path.split('/').slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth++) {
      const parent = parts.slice(0, depth).join('/');
      if (!byPath.has(parent)) byPath.set(parent, { path: parent, type: 'directory' });
    }
  }
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}
