/** The static binary as process 1 of a QEMU machine: modules, network, NBD through a server's death, init, reboot. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, expect, test } from 'vitest';
import { crc32 } from '../../../agent/protocol/crc32.ts';
import { type AgentArch, buildAgent } from '../../../agent/quickjs/build.ts';
import { NetworkNamespace } from '../../../firmware-stubs/rig/namespace.ts';
import { type CpioEntry, writeCpio } from '../../../imager/images/cpio.ts';
import { DebianPackages } from '../../../imager/images/debian.ts';
import { readModules } from '../../../imager/images/modules.ts';

const MODULES = ['virtio_pci', 'virtio_net', 'nbd', 'ext4'];
/** What programs/boot.ts reads while its server dies. */
const READ_AT = 12 * 1024 * 1024;
const READ_BYTES = 256 * 1024;
const DISK_BYTES = 16 * 1024 * 1024;
const MACHINES: Record<AgentArch, string[]> = {
  amd64: ['qemu-system-x86_64', '-machine', 'q35', '-append', 'console=ttyS0 quiet panic=-1'],
  arm64: [
    'qemu-system-aarch64',
    ...['-machine', 'virt', '-cpu', 'cortex-a57', '-append', 'console=ttyAMA0 quiet panic=-1'],
  ],
};

let folder = '';
let space: NetworkNamespace | undefined;
afterEach(async () => {
  await space?.close();
  rmSync(folder, { recursive: true, force: true });
});

test.each(['amd64', 'arm64'] as const)(
  'boots on %s and outlives its server and its init',
  async (arch) => {
    folder = mkdtempSync(join(tmpdir(), 'bootwright-machine-'));
    space = await NetworkNamespace.open();
    const packages = new DebianPackages({ arch, cacheDir: 'build/cache' });
    const { kernel, initramfs } = await prepareBoot(packages, arch);
    const disk = await prepareDisk(packages);
    const expected = crc32(readFileSync(disk).subarray(READ_AT, READ_AT + READ_BYTES));

    // Each read takes 0.2 s, so that the server is sure to die with requests on its hands.
    let server = serveDisk(disk, ['--filter=delay', 'rdelay=200ms']);
    await server.listening;
    const machine = space.spawn(['timeout', '90', ...MACHINES[arch], ...machineOptions(kernel, initramfs)]);
    const steps = new Map<string, string>();
    const log: string[] = [];
    let ended: Promise<void> | undefined;
    const lines = createInterface({ input: machine.stdout! });
    lines.on('line', (line) => {
      log.push(line);
      const [, step, at, detail] = /STEP (\S+) (\S+) ?(.*?)\r?$/.exec(line) ?? [];
      if (step === undefined) return;
      steps.set(step, detail!);
      if (process.env.SHOW !== undefined) console.log(arch, step, at, detail);
      if (step === 'reading') ended = replaceServer();
    });
    const replaceServer = async (): Promise<void> => {
      await server.nextRead();
      await server.kill();
      server = serveDisk(disk, []);
      await server.listening;
    };
    const [code] = await once(machine, 'close');
    await ended;
    expect({ code, steps: Object.fromEntries(steps) }, log.join('\n')).toEqual({
      code: 0,
      steps: {
        network: 'guest',
        flusher: '-1000 180000',
        attached: String(DISK_BYTES / 512),
        reading: '',
        'link-dead': '',
        reattached: '',
        read: String(expected),
        root: 'bin dev lost+found proc sbin sys',
        ran: '3 1',
        refused: 'ENOENT',
        init: 'hand over as 1',
        agent: expect.stringMatching(/^0 (?!1 )\d+ kept$/),
      },
    });
  },
  100_000,
);

async function prepareBoot(packages: DebianPackages, arch: AgentArch) {
  const [meta] = await packages.fetch([`linux-image-cloud-${arch}`]);
  const [image] = await packages.fetch([/linux-image-[a-z0-9.+-]+/.exec(meta!.depends)![0]]);
  const unpacked = await packages.unpack(image!);
  const release = image!.name.replace('linux-image-', '');
  const modules = await readModules(join(unpacked, 'lib/modules', release), MODULES);
  const init = join(folder, 'init');
  await buildAgent({ arch, out: init, entry: 'test/agent/host/programs/boot.ts' });
  const entries: CpioEntry[] = [
    ...['dev', 'proc', 'sys', 'modules'].map((path): CpioEntry => ({ path, type: 'directory' })),
    { path: 'dev/console', type: 'character-device', major: 5, minor: 1 },
    { path: 'init', type: 'file', content: readFileSync(init), mode: 0o755 },
    ...modules.map(({ name, content }): CpioEntry => ({ path: `modules/${name}.ko`, type: 'file', content })),
    {
      path: 'modules/order',
      type: 'file',
      content: Buffer.from(modules.map(({ name }) => `/modules/${name}.ko`).join('\n')),
    },
  ];
  const initramfs = join(folder, 'initramfs');
  writeFileSync(initramfs, writeCpio(entries));
  return { kernel: join(unpacked, 'boot', `vmlinuz-${release}`), initramfs };
}

/** An ext4 disk with busybox and an init that says who it is. */
async function prepareDisk(packages: DebianPackages): Promise<string> {
  const [busybox] = await packages.fetch(['busybox-static']);
  const root = join(folder, 'root');
  for (const path of ['bin', 'sbin']) mkdirSync(join(root, path), { recursive: true });
  writeFileSync(
    join(root, 'bin/busybox'),
    readFileSync(join(await packages.unpack(busybox!), 'bin/busybox')),
    { mode: 0o755 },
  );
  const init = '#!/bin/busybox sh\necho "$1 $2 as $$" > /said\nmv /said /init-said\nsleep 1000\n';
  writeFileSync(join(root, 'sbin/init'), init, { mode: 0o755 });
  for (const name of ['sh', 'mv', 'sleep', 'cat'])
    writeFileSync(join(root, 'bin', name), `#!/bin/busybox ${name}\n`, { mode: 0o755 });
  const disk = join(folder, 'disk');
  execFileSync('/sbin/mkfs.ext4', ['-q', '-b', '1024', '-d', root, disk, String(DISK_BYTES / 1024)]);
  // Bytes that say where they are, in free space of the file system: it does not care.
  const pattern = Uint32Array.from({ length: READ_BYTES / 4 }, (_, at) => at);
  const fd = openSync(disk, 'r+');
  writeSync(fd, pattern, 0, READ_BYTES, READ_AT);
  closeSync(fd);
  return disk;
}

function machineOptions(kernel: string, initramfs: string): string[] {
  return [
    ...['-accel', 'tcg', '-m', '256', '-nodefaults', '-no-reboot', '-display', 'none', '-serial', 'stdio'],
    ...['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net,romfile='],
    ...['-kernel', kernel, '-initrd', initramfs],
  ];
}

interface DiskServer {
  /** Ends it in the middle of what it does. */
  kill(): Promise<void>;
  listening: Promise<void>;
  /** Resolves at the next read request. */
  nextRead(): Promise<void>;
}

/** nbdkit on the namespace's port 10809, whose requests are seen in its log. */
function serveDisk(disk: string, options: string[]): DiskServer {
  const [filters, parameters] = [
    options.filter((each) => each.startsWith('--')),
    options.filter((each) => !each.startsWith('--')),
  ];
  const pidFile = join(folder, 'nbdkit.pid');
  const process = space!.spawn([
    ...['nbdkit', '-f', '-v', '-P', pidFile, '-e', 'disk', ...filters, 'file', disk, ...parameters],
  ]);
  const seen = (pattern: RegExp): Promise<void> =>
    new Promise((resolve) => {
      const lines = createInterface({ input: process.stderr! });
      lines.on('line', (line) => {
        if (pattern.test(line)) resolve();
      });
    });
  return {
    kill: async () => {
      const ended = once(process, 'exit');
      // The number counts inside the namespace: what was spawned here is nsenter, its parent.
      await space!.check(['kill', '-9', readFileSync(pidFile, 'utf8').trim()]);
      await ended;
    },
    listening: seen(/written pidfile|bound to IP address/),
    nextRead: () => seen(/pread/),
  };
}
