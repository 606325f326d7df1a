/** A QEMU guest of Debian's kernel and a script: what Linux itself does with disks of the imager. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InsideProcess } from '../../../firmware-stubs/rig/inside.ts';
import type { Lab } from '../../../firmware-stubs/rig/lab.ts';
import { projectFile } from '../../../firmware-stubs/rig/project.ts';
import { stockFor } from '../../../firmware-stubs/rig/scenario/stock.ts';
import { type CpioEntry, writeCpio } from '../../../imager/images/cpio.ts';
import { readModules } from '../../../imager/images/modules.ts';
import { Output } from './output.ts';

const MODULES = ['virtio_pci', 'virtio_net', 'virtio_blk', 'nbd', 'ext4', 'xfs', 'crc32c_generic'];
const UNPACKED = 'build/cache/debian/amd64/unpacked';

/** The initramfs: busybox, the agent, modules, and `script` as /init. */
async function initramfs(script: string, agent: string): Promise<Uint8Array> {
  const kernel = readdirSync(projectFile(UNPACKED))
    .filter((name) => name.startsWith('linux-image-'))
    .sort()
    .at(-1)!;
  const releases = join(projectFile(UNPACKED), kernel, 'lib/modules');
  const modules = await readModules(join(releases, readdirSync(releases)[0]!), MODULES);
  const files: CpioEntry[] = [
    { path: 'init', type: 'file', content: readFileSync(script), mode: 0o755 },
    { path: 'agent', type: 'file', content: readFileSync(agent), mode: 0o755 },
    { path: 'bin/busybox', type: 'file', content: readFileSync('/bin/busybox'), mode: 0o755 },
    { path: 'bin/sh', type: 'symlink', target: 'busybox' },
    { path: 'dev/console', type: 'character-device', major: 5, minor: 1 },
    ...modules.map(({ name, content }) => ({ path: `modules/${name}.ko`, type: 'file' as const, content })),
  ];
  const list = modules.map(({ name }) => `/modules/${name}.ko\n`).join('');
  files.push({ path: 'etc/modules', type: 'file', content: Buffer.from(list) });
  const folders = ['bin', 'dev', 'etc', 'modules', 'proc', 'sys'];
  return writeCpio([...folders.map((path) => ({ path, type: 'directory' as const })), ...files]);
}

export class Guest {
  readonly console: Output;
  readonly #process: InsideProcess;

  private constructor(process: InsideProcess) {
    this.#process = process;
    this.console = new Output(process.child);
  }

  /**
   * Starts `script` as /init in the lab's network, with these words on the kernel's command line. Its disk is the
   * imager's export `disk`, through QEMU's own NBD client, which waits a minute for a server that is away.
   */
  static async start(lab: Lab, script: string, words: string, disk: string): Promise<Guest> {
    const { kernel, initrd: agentInitrd } = await stockFor('x86');
    const agent = join(agentInitrd, '../agent');
    const initrd = join(lab.dir, 'guest.cpio');
    writeFileSync(initrd, await initramfs(script, agent));
    await lab.space.check(['ip', 'tuntap', 'add', 'guest', 'mode', 'tap']);
    await lab.space.check(['ip', 'link', 'set', 'guest', 'master', 'br0', 'up']);
    const child = lab.space.spawn([
      'qemu-system-x86_64',
      ...['-machine', 'pc,accel=tcg,graphics=off', '-cpu', 'Nehalem,+rdrand', '-m', '384M', '-smp', '1'],
      ...[
        '-nodefaults',
        '-no-user-config',
        '-display',
        'none',
        '-monitor',
        'none',
        '-serial',
        'stdio',
        '-no-reboot',
      ],
      ...['-kernel', kernel, '-initrd', initrd],
      ...[
        '-append',
        `console=ttyS0 loglevel=5 panic=-1 no_timer_check cryptomgr.notests mitigations=off ${words}`,
      ],
      ...['-netdev', 'tap,id=lan,ifname=guest,script=no,downscript=no'],
      ...['-device', 'virtio-net-pci,netdev=lan,romfile='],
      '-blockdev',
      `nbd,node-name=disk,server.type=inet,server.host=10.77.0.1,server.port=10809,export=${disk},reconnect-delay=60`,
      ...['-device', 'virtio-blk-pci,drive=disk'],
    ]);
    return new Guest(new InsideProcess(child));
  }

  /** Cuts its power. */
  async end(): Promise<void> {
    await this.#process.end('SIGKILL');
  }
}
