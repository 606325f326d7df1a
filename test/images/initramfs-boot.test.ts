/** An initramfs of Debian's kernel, compressed, on emulated machines: busybox loads its modules in their order. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import type { Compression } from '../../imager/images/compression.ts';
import { DebianPackages } from '../../imager/images/debian.ts';
import { debianKernel } from '../../imager/images/debian-kernel.ts';
import type { Architecture } from '../../imager/images/image.ts';
import { buildInitramfs } from '../../imager/images/initramfs-recipe.ts';

const cacheDir = resolve(import.meta.dirname, '../../build/cache');
const BOOT_MS = 300_000;
const MACHINES: Record<Architecture, { qemu: string[]; console: string }> = {
  arm64: { qemu: ['qemu-system-aarch64', '-machine', 'virt', '-cpu', 'cortex-a57'], console: 'ttyAMA0' },
  amd64: { qemu: ['qemu-system-x86_64', '-machine', 'pc'], console: 'ttyS0' },
};
/** Process 1, in place of the agent. */
const SCRIPT = `#!/bin/sh
b=/bin/busybox
$b mount -t proc proc /proc
for module in $($b cat /etc/bootwright/modules); do $b insmod $module || $b echo "FAILED $module"; done
$b echo "LOADED $($b cut -d' ' -f1 /proc/modules | $b tr '\\n' ' ')."
$b poweroff -f
`;

const folder = mkdtempSync(join(tmpdir(), 'initramfs-boot-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each<[Architecture, Compression]>([
  ['arm64', 'zstd'],
  ['amd64', 'xz'],
])('%s, %s', { timeout: BOOT_MS }, async (arch, compression) => {
  const script = join(folder, 'script');
  writeFileSync(script, SCRIPT, { mode: 0o755 });
  const { vmlinuz } = await debianKernel(new DebianPackages({ arch, cacheDir }));
  const busybox = join(await unpackedBusybox(arch), 'bin/busybox');
  const built = await buildInitramfs({
    ...{ arch, compression, busybox, agent: busybox, cacheDir: () => cacheDir },
    withModules: ['tun'],
    add: [{ file: script, path: 'script' }],
  });
  const initrd = join(folder, `${arch}.${compression}`);
  writeFileSync(initrd, built.bytes);
  const { qemu, console } = MACHINES[arch];
  const [file, ...machine] = qemu as [string, ...string[]];
  const { stdout } = await promisify(execFile)(
    file,
    [
      ...machine,
      ...['-accel', 'tcg', '-m', '256', '-display', 'none', '-serial', 'stdio', '-nodefaults', '-no-reboot'],
      ...['-kernel', vmlinuz, '-initrd', initrd],
      ...[
        '-append',
        `console=${console} loglevel=4 panic=-1 cryptomgr.notests no_timer_check rdinit=/script`,
      ],
    ],
    { timeout: BOOT_MS, killSignal: 'SIGKILL' },
  );
  const [, loaded] = /LOADED (.*) \./.exec(stdout) ?? expect.fail(stdout);
  // A machine without UEFI has none of its variables. /proc/modules has the last one first.
  const wanted = built.modules.map(({ name }) => name).filter((name) => name !== 'efivarfs');
  expect(loaded!.split(' ').reverse()).toEqual(wanted);
  expect([...stdout.matchAll(/FAILED (\S+)/g)].map(([, path]) => path)).toEqual([
    expect.stringMatching(/efivarfs\.ko$/),
  ]);
});

async function unpackedBusybox(arch: Architecture): Promise<string> {
  const packages = new DebianPackages({ arch, cacheDir });
  const [found] = await packages.fetch(['busybox-static']);
  return packages.unpack(found!);
}
