/** Debian's kernels, initramfs and base disk as built here, on emulated machines, up to the web server's answer. */
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildBaseDisk } from '../../imager/images/base-disk.ts';
import type { Architecture } from '../../imager/images/image.ts';
import { buildBootFiles } from '../../imager/images/recipe.ts';

const cacheDir = resolve(import.meta.dirname, '../../build/cache');
const DOWNLOAD_MS = 300_000;
const MACHINES: Record<Architecture, { compiler: string; qemu: string[] }> = {
  arm64: {
    compiler: 'aarch64-linux-gnu-gcc',
    qemu: ['qemu-system-aarch64', '-machine', 'virt', '-cpu', 'cortex-a57'],
  },
  amd64: { compiler: 'x86_64-linux-gnu-gcc', qemu: ['qemu-system-x86_64', '-machine', 'pc'] },
};

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'boot-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** Runs the machine until it switches itself off; gives what came out of its serial line. */
function serialLog(argv: string[]): Promise<string> {
  const [file = '', ...args] = argv;
  return new Promise((done, fail) => {
    const child = execFile(
      file,
      args,
      { timeout: 60_000, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        if (error === null) done(stdout);
        else fail(new Error(`${file}: ${error.message}\n${stdout}${stderr}`));
      },
    );
    child.stdin?.end();
  });
}

describe.each(['arm64', 'amd64'] as const)('%s', (arch) => {
  const { compiler, qemu } = MACHINES[arch];

  test('boots, mounts the base disk and serves its page', { timeout: DOWNLOAD_MS }, async () => {
    const agent = join(dir, 'probe');
    execFileSync(compiler, ['-Os', '-static', '-s', '-o', agent, join(import.meta.dirname, 'probe.c')]);
    const lines: string[] = [];
    const boot = await buildBootFiles({
      arch,
      agent,
      cacheDir,
      outDir: dir,
      progress: (line) => lines.push(line),
    });
    const base = await buildBaseDisk({ arch, cacheDir });
    expect(statSync(base.file).size).toBe(base.bytes);
    expect(boot.version).toMatch(new RegExp(`^\\d+\\.\\d+.*-cloud-${arch} \\(\\d`));
    expect(lines.at(-1)).toContain(boot.version);

    const log = await serialLog([
      ...[
        ...qemu,
        '-accel',
        'tcg',
        '-m',
        '256',
        '-display',
        'none',
        '-serial',
        'stdio',
        '-nodefaults',
        '-no-reboot',
      ],
      ...['-kernel', boot.kernel, '-initrd', boot.initrd, '-append', boot.args],
      ...['-drive', `file=${base.file},format=raw,if=none,id=disk,snapshot=on`],
      ...['-device', 'virtio-blk-pci,drive=disk'],
    ]);
    expect(log).toContain('PROBE nbd device: present');
    // A machine without UEFI has none of its variables.
    const refused = [...log.matchAll(/cannot load \S*\/(\S+): (.*?)\r?$/gm)].map(([, ...what]) => what);
    expect(refused).toEqual([['efivarfs.ko', 'No such device']]);
    expect(log.replace('cannot load', '')).not.toContain('cannot');
    expect(log).toMatch(
      /PROBE answered at.*HTTP\/1\.0 200 OK.*Content-Type: text\/html.*base disk.*PROBE end/s,
    );
  });

  test('built again, from the cache, without network and with the same bytes', {
    timeout: DOWNLOAD_MS,
  }, async () => {
    const agent = join(dir, 'agent');
    writeFileSync(join(dir, 'agent.c'), 'int main(void) { return 0; }');
    execFileSync(compiler, ['-static', '-o', agent, join(dir, 'agent.c')]);
    const first = await buildBootFiles({ arch, agent, cacheDir, outDir: join(dir, 'first') });
    const base = sha256((await buildBaseDisk({ arch, cacheDir })).file);
    const lines: string[] = [];
    const options = { arch, agent, cacheDir, progress: (line: string) => lines.push(line) };
    const second = await buildBootFiles({ ...options, outDir: join(dir, 'second') });
    expect(sha256(second.initrd)).toBe(sha256(first.initrd));
    expect(sha256(second.kernel)).toBe(sha256(first.kernel));
    expect(sha256((await buildBaseDisk(options)).file)).toBe(base);
    expect(lines.filter((line) => /download|fetching|making|compressing/.test(line))).toEqual([]);
  });
});
