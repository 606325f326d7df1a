/**
 * Process 1 of a machine without firmware story: every call of the host that only a kernel of one's own can show.
 * Says each step on the console; test/agent/host/machine.test.ts plays the server's side.
 */

import type { Host } from '../../../../agent/linux/host.ts';
import { negotiate } from '../../../../agent/linux/nbd-handshake.ts';
import { crc32 } from '../../../../agent/protocol/crc32.ts';
import { start } from '../../../../agent/quickjs/start.ts';

const SERVER = '10.0.2.2';
const NBD_PORT = 10809;
const READ_AT = 12 * 1024 * 1024;
const READ_BYTES = 256 * 1024;

start(async (host, args) => (args[0] === 'keeper' ? keep(host) : boot(host)));

async function boot(host: Host): Promise<void> {
  host.mount('proc', '/proc', 'proc', 'nosuid,nodev,noexec');
  host.mount('sys', '/sys', 'sysfs', '');
  host.mount('dev', '/dev', 'devtmpfs', 'mode=755');
  for (const path of text(host, '/modules/order').trim().split('\n')) host.loadModule(path);
  host.setHostName('guest');
  while (!host.exists('/sys/class/net/eth0')) await host.sleep(5);
  host.configureInterface('eth0', '10.0.2.15', 24, SERVER);
  say(host, 'network', text(host, '/proc/sys/kernel/hostname').trim());

  host.startSelf(['keeper']);
  while (text(host, '/sys/block/nbd0/size').trim() === '0') await host.sleep(5);
  say(host, 'attached', text(host, '/sys/block/nbd0/size').trim());
  say(host, 'reading');
  say(host, 'read', String(crc32(host.readStored('/dev/nbd0', READ_AT, READ_BYTES))));

  host.makeDirectory('/mnt');
  host.mount('/dev/nbd0', '/mnt', 'ext4', 'noatime');
  host.switchRoot('/mnt');
  say(host, 'root', host.list('/').join(' '));
  const shown = await host.run(['/bin/busybox', 'sh', '-c', 'echo $PPID; (sleep 0.1 &); exit 3'], {
    timeoutMs: 10_000,
  });
  say(host, 'ran', `${shown.code} ${shown.output.trim()}`);
  host.replaceFile('/state', new TextEncoder().encode('kept'));
  try {
    host.handOverInit(['/sbin/none']);
  } catch (error) {
    say(host, 'refused', String((error as { code?: string }).code));
  }
  host.handOverInit(['/sbin/init', 'hand', 'over']);
  while (!host.exists('/init-said')) await host.sleep(5);
  say(host, 'init', text(host, '/init-said').trim().replaceAll('\n', ' '));
  const after = await host.run(['/bin/busybox', 'sh', '-c', 'echo $PPID; cat /state'], { timeoutMs: 10_000 });
  say(host, 'agent', `${after.code} ${after.output.trim().replaceAll('\n', ' ')}`);
  host.reboot('reboot');
}

/** Keeps /dev/nbd0 on whichever server answers. */
async function keep(host: Host): Promise<void> {
  host.becomeIoFlusher();
  say(host, 'flusher', `${text(host, '/proc/self/oom_score_adj').trim()} ${memoryFlags(host)}`);
  for (let attached = false; ; ) {
    try {
      const connection = await host.connect(SERVER, NBD_PORT, 2000);
      const found = await negotiate(connection, 'disk');
      const attachment = { ...found, index: 0, blockSize: 1024, deadTimeoutSeconds: 600 };
      const dead = host.nbdLinkDead(0);
      if (attached) host.nbdReattach(connection, attachment);
      else host.nbdAttach(connection, attachment);
      if (attached) say(host, 'reattached');
      attached = true;
      await dead;
      say(host, 'link-dead');
    } catch {
      await host.sleep(50);
    }
  }
}

/** Those of the process that keep its memory from waiting for a disk (include/linux/sched.h). */
function memoryFlags(host: Host): string {
  const PF_LOCAL_THROTTLE = 0x00100000;
  const PF_MEMALLOC_NOIO = 0x00080000;
  const [flags] = text(host, '/proc/self/stat').split(' ').slice(8);
  return (Number(flags) & (PF_LOCAL_THROTTLE | PF_MEMALLOC_NOIO)).toString(16);
}

function say(host: Host, step: string, detail = ''): void {
  host.print(`STEP ${step} ${host.uptime().toFixed(3)} ${detail}`);
}

function text(host: Host, path: string): string {
  return new TextDecoder().decode(host.readFile(path));
}
