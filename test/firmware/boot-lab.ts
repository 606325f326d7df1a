/** A lab whose boot servers are dnsmasq and busybox httpd: the firmware stubs against servers that are not ours. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { gzip, gzipSync } from 'node:zlib';
import { expect } from 'vitest';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { makeEeprom } from '../../firmware-stubs/rig/eeprom.ts';
import { Lab } from '../../firmware-stubs/rig/lab.ts';
import type { NodeOptions, RigNode } from '../../firmware-stubs/rig/node.ts';
import type { Rig } from '../../firmware-stubs/rig/qemu.ts';
import { writeCpio } from '../../imager/images/cpio.ts';
import { DebianPackages } from '../../imager/images/debian.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const CACHE = join(ROOT, 'build/cache');
const run = promisify(execFile);

export const UID = '0f9d1c3a-5d0e-4a52-9d3e-1b5b0a1f0001';
const MAC = '52:54:00:00:00:01';
export const ADDRESS = '10.77.0.11';
/** Offered to the node that sends its UID alone. */
export const GATEWAY = '10.77.0.254';

/** For the folder dhcp-options of a lab. By its number: dnsmasq refuses `option:hostname`. */
const HOST_WITH_BLANK = '12,a init=/x\n';

/** How init.c begins the line that shows the kernel's command line. */
const GIVEN = /^given cmdline=/;

export function pointer(changes: Partial<BootPointer> = {}): BootPointer {
  return {
    sequence: 7,
    image: 'alpha',
    disks: ['root'],
    imagers: ['10.77.0.1'],
    cluster: 'one',
    deployment: 'd1',
    phase: 'ready',
    attempts: 3,
    fallback: '',
    ...changes,
  };
}

/**
 * Lab, node (off; `more` of its options) and its EEPROM file, with the images linux, alpha, beta and again (whose Linux starts again at once).
 * On arm64 and for the UEFI stub alpha and beta hold no kernel worth starting: the firmware's part is the same and takes a third of the time.
 */
export async function openBootLab(
  rig: Rig,
  more: Partial<NodeOptions> = {},
): Promise<{
  lab: Lab;
  node: RigNode;
  eeprom: string;
  dir: string;
  close(): Promise<void>;
}> {
  const files = await bootFiles(rig);
  const dir = await mkdtemp(join(tmpdir(), 'firmware-'));
  const images = join(dir, 'boot/images');
  for (const name of ['linux', 'alpha', 'beta', 'again']) {
    await mkdir(join(images, name), { recursive: true });
    const real = (rig === 'x86' && more.firmware !== 'uefi-stub') || name === 'linux' || name === 'again';
    if (real) await symlink(files.kernel, join(images, name, 'kernel'));
    else await writeFile(join(images, name, 'kernel'), gzipSync(new Uint8Array(4096)));
    await symlink(files.initrd, join(images, name, 'initrd'));
    const console = rig === 'arm64' ? 'ttyAMA0' : 'ttyS0';
    const args = `console=${console} quiet panic=1${name === 'again' ? ' test.reboot' : ''}`;
    await writeFile(
      join(images, name, 'manifest.env'),
      `bw_kernel=kernel\nbw_initrd=initrd\nbw_args=${args}\nbootcmd=echo taken over\n`,
    );
    await writeFile(
      join(images, name, 'boot.ipxe'),
      [
        '#!ipxe',
        `kernel --timeout 3000 kernel initrd=initrd \${bw_cmdline} ${args}`,
        'initrd --timeout 3000 initrd',
        `echo bootwright: firmware boot \${bw_image}`,
        'echo starting the kernel',
        'boot',
        '',
      ].join('\n'),
    );
  }
  const eeprom = join(dir, 'eeprom');
  await mkdir(join(dir, 'dhcp-options'));
  makeEeprom(eeprom, more.firmware === 'uefi-stub' ? 'uefi-stub' : 'arm64');
  const lab = await Lab.open({ dir });
  const close = async () => {
    await lab.close();
    await rm(dir, { recursive: true, force: true });
  };
  try {
    await lab.space.check([
      'dnsmasq',
      ...['--conf-file=/dev/null', '--port=0', '--user=root', '--pid-file=', '--interface=br0'],
      ...['--bind-interfaces', '--no-ping', '--leasefile-ro', `--log-facility=${join(dir, 'dnsmasq.log')}`],
      ...['--dhcp-range=10.77.0.10,10.77.0.50', `--dhcp-host=${MAC},${ADDRESS},host-1`, '--dhcp-option=3'],
      // The router is for who sends the UID as RFC 4578 has it: type 0, the first three fields little-endian.
      '--dhcp-match=set:known,97,00:3a:1c:9d:0f:0e:5d:52:4a:9d:3e:1b:5b:0a:1f:00:01',
      `--dhcp-option=tag:known,3,${GATEWAY}`,
      // What a test adds: a file in it is read at once.
      `--dhcp-optsdir=${join(dir, 'dhcp-options')}`,
      // iPXE: no wait for a ProxyDHCP server (firmware-stubs/ipxe/README.md).
      ...['--dhcp-option=encap:175,176,1b', '--enable-tftp', `--tftp-root=${join(dir, 'boot')}`],
    ]);
    const web = `busybox httpd -p 10.77.0.1:80 -h ${join(dir, 'boot')} </dev/null >/dev/null 2>&1`;
    await lab.space.check(['sh', '-c', web]);
    const node = await lab.node({ name: 'n1', rig, mac: MAC, uid: UID, eeprom, ...more });
    return { lab, node, eeprom, dir, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Debian's kernel and an initramfs with init.c alone, made once. */
async function bootFiles(rig: Rig): Promise<{ kernel: string; initrd: string }> {
  const arch = rig === 'arm64' ? 'arm64' : 'amd64';
  const packages = new DebianPackages({ arch, cacheDir: CACHE });
  const [meta] = await packages.fetch([`linux-image-cloud-${arch}`]);
  const [image] = await packages.fetch([/linux-image-[a-z0-9.+-]+/.exec(meta!.depends)![0]]);
  const boot = join(await packages.unpack(image!), 'boot');
  const name = (await readdir(boot)).find((file) => file.startsWith('vmlinuz-'))!;
  const folder = join(CACHE, 'firmware-tests');
  await mkdir(folder, { recursive: true });

  let kernel = join(boot, name);
  if (arch === 'arm64') {
    kernel = join(folder, `${name}.gz`);
    if (!existsSync(kernel)) await replace(kernel, await promisify(gzip)(await readFile(join(boot, name))));
  }
  const program = join(folder, `init-${arch}-${process.pid}`);
  const compiler = arch === 'arm64' ? 'aarch64-linux-gnu-gcc' : 'x86_64-linux-gnu-gcc';
  await run(compiler, ['-static', '-Os', '-s', '-o', program, join(import.meta.dirname, 'init.c')]);
  const initrd = join(folder, `initrd-${arch}`);
  await replace(
    initrd,
    writeCpio([
      { path: 'proc', type: 'directory' },
      { path: 'sys', type: 'directory' },
      { path: 'dev', type: 'directory' },
      { path: 'dev/console', type: 'character-device', major: 5, minor: 1 },
      { path: 'init', type: 'file', mode: 0o755, content: await readFile(program) },
    ]),
  );
  await rm(program);
  return { kernel, initrd };
}

async function replace(path: string, content: Uint8Array): Promise<void> {
  const work = `${path}.${process.pid}`;
  await writeFile(work, content);
  await rename(work, path);
}

/** What the firmware said from power-on until it started a kernel. */
export async function firmwareBoot(node: RigNode, withinMs: number): Promise<string[]> {
  await node.powerOn();
  await node.waitForStep('boot', { withinMs });
  const said = [...node.serial().matchAll(/^bootwright: firmware (.*)$/gm)].map(([, text]) => text!);
  return said.slice(0, said.findIndex((text) => text.startsWith('boot ')) + 1);
}

/**
 * The whole boot of a node whose pointer names the image linux: what its firmware says, the kernel's command line and the
 * UID in the end. Gives the command line.
 */
export async function bootsLinux(node: RigNode, withinMs: number): Promise<string> {
  expect(await firmwareBoot(node, withinMs)).toEqual([
    'start',
    'pointer image=linux slot=0 attempts=3',
    `dhcp ${ADDRESS}`,
    'load linux',
    'boot linux',
  ]);
  const { text } = await node.waitForLine(GIVEN, { withinMs });
  expect(node.serial()).toContain(`given uid=${UID}`);
  return text.replace(GIVEN, '');
}

/** The kernel's command line where DHCP gives a node, whose pointer names the image linux, a host name with a blank. */
export async function bootWithBlankInHostName(
  { node, dir }: { node: RigNode; dir: string },
  withinMs: number,
): Promise<string> {
  const options = join(dir, 'dhcp-options/host');
  await writeFile(options, HOST_WITH_BLANK);
  await node.powerOn();
  const { text } = await node.waitForLine(GIVEN, { withinMs });
  await rm(options);
  return text.replace(GIVEN, '');
}
