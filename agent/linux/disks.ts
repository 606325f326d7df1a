/** Virtual disks: attached by keepers (keeper.ts), the first mounted as the node's root. */
import type { Disks } from '../ports.ts';
import type { Host } from './host.ts';
import { keeperArguments } from './keeper.ts';
import { readText } from './read-text.ts';

const ROOT = '/mnt';
const PAUSE_MS = 5;
/** A disk that is not there after this time fails the boot: the firmware may have an older image to try. */
const ATTACH_SECONDS = 120;

export function diskAttacher(host: Host): Disks {
  return {
    async mountRoot(disks, imagers) {
      if (disks.length === 0) throw new Error('the boot pointer names no disk');
      for (const [index, name] of disks.entries()) host.startSelf(keeperArguments({ index, name, imagers }));
      const deadline = host.uptime() + ATTACH_SECONDS;
      for (const [index, name] of disks.entries()) {
        while (sectors(host, index) === 0) {
          if (host.uptime() > deadline)
            throw new Error(
              `disk ${name} is not attached after ${ATTACH_SECONDS} s (its keeper's messages are on the console)`,
            );
          await host.sleep(PAUSE_MS);
        }
      }
      host.makeDirectory(ROOT);
      host.mount('/dev/nbd0', ROOT, 'ext4', 'noatime');
      host.switchRoot(ROOT);
    },
  };
}

/** Size of the device in sectors of 512 bytes; 0 while nothing is attached. */
function sectors(host: Host, index: number): number {
  const path = `/sys/block/nbd${index}/size`;
  return host.exists(path) ? Number(readText(host, path)) : 0;
}
