/** `imager image initramfs` on module trees of our own: the same bytes anywhere, read by real tools, hostile trees refused. */
import { execFile, execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ENROLMENT_KEY_FILE } from '../../agent/protocol/enrolment.ts';
import { writeCpio } from '../../imager/images/cpio.ts';
import { CpioError, readInitramfs } from '../../imager/images/cpio-read.ts';
import { DebianPackages } from '../../imager/images/debian.ts';
import { buildInitramfs } from '../../imager/images/initramfs-recipe.ts';
import { type Ended, imagerProgram } from '../support/imager-verbs.ts';
import { NATIVE } from '../support/static-program.ts';

const OTHER = NATIVE === 'arm64' ? 'x86_64-linux-gnu-gcc' : 'aarch64-linux-gnu-gcc';
const RELEASE = '6.1.0-test';
const DOWNLOAD_MS = 120_000;
const cacheDir = resolve(import.meta.dirname, '../../build/cache');

let dir: string;
let program: string;
let tree: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'initramfs-'));
  program = await imagerProgram();
  writeFileSync(join(dir, 'main.c'), 'int main(void) { return 0; }\n');
  execFileSync('gcc', ['-static', '-s', '-o', join(dir, 'agent'), join(dir, 'main.c')]);
  tree = newTree('first', ['top', 'middle', 'soft', 'bottom', 'unwanted']);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const NEEDS: Record<string, string[]> = {
  top: ['depends=middle', 'softdep=pre: soft'],
  middle: ['depends=bottom'],
  soft: ['depends='],
  bottom: ['depends='],
  unwanted: ['depends='],
};

/** A module as the compiler makes it, with its .modinfo. */
function compileModule(path: string, info: string[], compiler = 'gcc'): void {
  const strings = [`vermagic=${RELEASE} SMP mod_unload`, `name=${basename(path, '.ko')}`, ...info];
  const source = strings.map(
    (text, index) =>
      `__attribute__((section(".modinfo"), used)) static const char i${index}[] = ${JSON.stringify(text)};`,
  );
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(join(dir, 'module.c'), source.join('\n'));
  execFileSync(compiler, ['-c', '-o', path, join(dir, 'module.c')]);
}

/** A lib/modules/VERSION whose files come into being in the order of `names`. */
function newTree(name: string, names: string[]): string {
  const folder = join(dir, name, RELEASE);
  for (const each of names) compileModule(join(folder, `kernel/${each}/${each}.ko`), NEEDS[each]!);
  execFileSync('xz', [join(folder, 'kernel/middle/middle.ko')]);
  execFileSync('zstd', ['-q', '--rm', join(folder, 'kernel/bottom/bottom.ko')]);
  execFileSync('gzip', [join(folder, 'kernel/soft/soft.ko')]);
  return folder;
}

function initramfs(
  args: string[],
  how: { cwd?: string; env?: Record<string, string>; umask?: string } = {},
): Promise<Ended> {
  const command = `umask ${how.umask ?? '022'}; exec "$@"`;
  const argv = ['-c', command, 'sh', process.execPath, program, 'image', 'initramfs', ...args];
  return new Promise((done) => {
    const options = { cwd: how.cwd ?? dir, env: { ...process.env, ...how.env } };
    const child = execFile('sh', argv, options, (_error, stdout, stderr) =>
      done({ code: child.exitCode, stdout, stderr }),
    );
  });
}

const own = (folder = tree): string[] => [
  ...[
    '--arch',
    NATIVE,
    '--agent',
    join(dir, 'agent'),
    '--busybox',
    'none',
    '--modules',
    folder,
    '--module',
    'top',
  ],
];

test('two builds differ in no byte, wherever, by whomever and from whatever order of files they are made', async () => {
  const second = newTree('second', ['unwanted', 'bottom', 'soft', 'middle', 'top']);
  writeFileSync(join(dir, 'site.pem'), 'pem');
  for (const how of ['none', 'gzip', 'xz', 'zstd']) {
    const add = ['--compress', how, '--add', `${join(dir, 'site.pem')}:etc/site.pem`];
    const outs = [join(dir, `one-${how}`), join(dir, `two-${how}`)];
    const ran = [
      await initramfs([outs[0]!, ...own(), ...add]),
      await initramfs([outs[1]!, ...own(second), ...add], {
        cwd: '/',
        umask: '077',
        env: { TZ: 'Asia/Kathmandu', LANG: 'tr_TR.UTF-8', LC_ALL: 'C.UTF-8', HOME: '/nowhere' },
      }),
    ];
    expect(ran.map(({ code, stderr }) => [code, stderr.replace(/^.*compressing.*\n/, '')])).toEqual([
      [0, ''],
      [0, ''],
    ]);
    const [one, two] = outs.map((out) => readFileSync(out));
    expect(one!.equals(two!)).toBe(true);
  }
});

test('modules and what they need in load order, unpacked, and no other', async () => {
  const out = join(dir, 'json');
  const { stdout } = await initramfs([out, ...own(), '--compress', 'none', '--json']);
  const said = JSON.parse(stdout) as {
    modules: string[];
    contents: { path: string; bytes: number }[];
    bytes: number;
  };
  expect(said.modules).toEqual(['bottom', 'middle', 'soft', 'top']);
  expect(said.bytes).toBe(readFileSync(out).length);
  expect(said.contents.filter(({ path }) => path.endsWith('.ko')).map(({ path }) => path)).toEqual(
    said.modules.map((name) => `lib/modules/${RELEASE}/kernel/${name}/${name}.ko`),
  );
  const list = execFileSync('cpio', ['-i', '--quiet', '--to-stdout', 'etc/bootwright/modules'], {
    input: readFileSync(out),
  });
  expect(String(list)).toBe(
    said.modules.map((name) => `/lib/modules/${RELEASE}/kernel/${name}/${name}.ko\n`).join(''),
  );
});

test('the key of enrolment is put where the agent looks for it, for root alone; another file is refused unsaid', async () => {
  const [key, out] = [join(dir, 'enrolment-key'), join(dir, 'keyed.img')];
  writeFileSync(key, `${'0f'.repeat(32)}\n`);
  const make = () => initramfs([out, ...own(), '--enrolment-key', key]);
  expect(await make()).toMatchObject({ code: 0 });
  const [part] = await readInitramfs(readFileSync(out));
  const kept = part!.members.find(({ path }) => path === ENROLMENT_KEY_FILE.slice(1));
  expect(kept).toMatchObject({ mode: 0o100600, bytes: 65 });
  writeFileSync(key, 'no key at all');
  const refused = await make();
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('holds no key of 64') });
  expect(refused.stderr).not.toContain('at all');
});

test('modules.dep adds what depmod found', async () => {
  const folder = join(dir, 'depmod', RELEASE);
  cpSync(tree, folder, { recursive: true });
  writeFileSync(
    join(folder, 'modules.dep'),
    'kernel/top/top.ko: kernel/middle/middle.ko.xz\nkernel/middle/middle.ko.xz: kernel/unwanted/unwanted.ko\n',
  );
  const { stdout } = await initramfs([join(dir, 'dep'), ...own(folder), '--json']);
  expect((JSON.parse(stdout) as { modules: string[] }).modules).toEqual([
    'bottom',
    'unwanted',
    'middle',
    'soft',
    'top',
  ]);
});

test("cpio, busybox and Debian's lsinitramfs read it, and so does --list", {
  timeout: DOWNLOAD_MS,
}, async () => {
  const source = new DebianPackages({ arch: NATIVE, cacheDir });
  const [found] = await source.fetch(['initramfs-tools-core']);
  const tools = join(await source.unpack(found!), 'usr/bin');
  const env = { ...process.env, PATH: `${tools}:${process.env.PATH}` };
  const out = join(dir, 'listed');
  await initramfs([out, ...own(), '--compress', 'none', '--busybox', join(dir, 'agent')]);
  const input = readFileSync(out);
  const names = (text: Buffer | string): string[] =>
    String(text)
      .split('\n')
      .filter((line) => line !== '' && line !== '.');
  const expected = names(execFileSync('cpio', ['-t', '--quiet'], { input }));
  expect(expected).toEqual(expect.arrayContaining(['init', 'bin/busybox', 'bin/sh', 'dev/console']));
  expect(
    names(execFileSync('busybox', ['cpio', '-t'], { input, stdio: ['pipe', 'pipe', 'ignore'] })),
  ).toEqual(expected);
  for (const how of ['none', 'gzip', 'xz', 'zstd']) {
    const file = join(dir, `listed-${how}`);
    await initramfs([file, ...own(), '--compress', how, '--busybox', join(dir, 'agent')]);
    // An archive that is not compressed it takes for microcode in front of another, which it misses.
    if (how !== 'none')
      expect(names(execFileSync('lsinitramfs', [file], { env })).sort(), how).toEqual([...expected].sort());
    const { stdout } = await initramfs(['--list', file, '--json']);
    const { parts } = JSON.parse(stdout) as { parts: { compression: string; members: { path: string }[] }[] };
    expect(parts.map(({ compression, members }) => [compression, members.map(({ path }) => path)])).toEqual([
      [how, expected],
    ]);
  }
});

test('parts one behind the other, as distributions put microcode in front', async () => {
  const part = (path: string): Uint8Array => writeCpio([{ path, type: 'file', content: Buffer.from(path) }]);
  const whole = Buffer.concat([
    part('a'),
    Buffer.alloc(512),
    part('b'),
    gzipSync(Buffer.concat([part('c'), part('d')])),
  ]);
  const parts = await readInitramfs(whole);
  expect(parts.map(({ compression, members }) => [compression, members[0]!.path])).toEqual([
    ['none', 'a'],
    ['none', 'b'],
    ['gzip', 'c'],
    ['gzip', 'd'],
  ]);
});

test('bytes that are no initramfs are refused, and nothing worse', async () => {
  const good = Buffer.from(writeCpio([{ path: 'init', type: 'file', content: Buffer.from('hello') }]));
  const edits = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(edits, fc.nat(good.length), async (changes, cut) => {
      const bytes = Buffer.from(good);
      for (const [at, byte] of changes) bytes[at] = byte;
      const parts = await readInitramfs(bytes.subarray(0, cut)).catch((error: unknown) => {
        if (error instanceof CpioError) return [];
        throw error;
      });
      for (const { members } of parts)
        for (const each of members) expect(each.offset + each.bytes).toBeLessThanOrEqual(cut);
    }),
    { numRuns: 300 },
  );
});

/** A copy of the tree that somebody has meddled with. */
function meddled(name: string, meddle: (folder: string) => void): string {
  const folder = join(dir, name, RELEASE);
  cpSync(tree, folder, { recursive: true });
  rmSync(join(folder, 'kernel/top'), { recursive: true });
  mkdirSync(join(folder, 'kernel/top'));
  meddle(folder);
  return folder;
}

test.each<[string, (folder: string) => void, RegExp]>([
  ['a missing one', () => {}, /the kernel has no module top/],
  [
    'a missing need',
    (folder) => compileModule(join(folder, 'kernel/top/top.ko'), ['depends=gone']),
    /no module gone \(for top\)/,
  ],
  [
    'a circle',
    (folder) => {
      compileModule(join(folder, 'kernel/top/top.ko'), ['depends=ring']);
      compileModule(join(folder, 'kernel/top/ring.ko'), ['depends=top']);
    },
    /need each other: top > ring > top/,
  ],
  [
    'a link out of the tree',
    (folder) => symlinkSync('/etc/hostname', join(folder, 'kernel/top/top.ko')),
    /top\.ko leads out of/,
  ],
  [
    'a folder that is a link',
    (folder) => {
      compileModule(join(dir, 'elsewhere/top.ko'), []);
      rmSync(join(folder, 'kernel/top'), { recursive: true });
      symlinkSync(join(dir, 'elsewhere'), join(folder, 'kernel/top'));
      writeFileSync(join(folder, 'modules.dep'), 'kernel/top/top.ko:\n');
    },
    /top\.ko leads out of/,
  ],
  [
    'a path out of the tree',
    (folder) => writeFileSync(join(folder, 'modules.dep'), '../../elsewhere/top.ko:\n'),
    /top\.ko leads out of/,
  ],
  [
    'another architecture',
    (folder) => compileModule(join(folder, 'kernel/top/top.ko'), [], OTHER),
    /kernel module top is for/,
  ],
  [
    'another release',
    (folder) => {
      compileModule(join(folder, 'kernel/top/top.ko'), []);
      const path = join(folder, 'kernel/top/top.ko');
      writeFileSync(
        path,
        Buffer.from(readFileSync(path).toString('latin1').replace(RELEASE, '6.1.0-tset'), 'latin1'),
      );
    },
    /kernel module top is for the kernel 6\.1\.0-tset/,
  ],
  [
    'what unpacks to far more',
    (folder) => writeFileSync(join(folder, 'kernel/top/top.ko.gz'), gzipSync(Buffer.alloc(80 << 20))),
    /larger than/,
  ],
  ['no module', (folder) => writeFileSync(join(folder, 'kernel/top/top.ko'), 'text'), /not a 64-bit/],
])('%s is refused', async (name, meddle, message) => {
  mkdirSync(join(dir, 'elsewhere'), { recursive: true });
  const options = { arch: NATIVE, agent: join(dir, 'agent'), modules: ['top'], compression: 'none' } as const;
  const modulesDir = meddled(name, meddle);
  await expect(buildInitramfs({ ...options, modulesDir, cacheDir: () => dir })).rejects.toThrow(message);
});

test('a module that is part of the kernel itself: said, and nothing to load', async () => {
  const folder = newTree('with-builtin', ['top', 'middle', 'soft', 'bottom']);
  writeFileSync(join(folder, 'modules.builtin'), 'kernel/drivers/built-in.ko\nkernel/fs/other.ko\n');
  const { stdout, stderr } = await initramfs([
    ...[join(dir, 'builtin'), ...own(folder), '--with-module', 'built-in', '--compress', 'none', '--json'],
  ]);
  expect(stderr).toBe('kernel module built-in is built into this kernel: there is nothing to load\n');
  expect(JSON.parse(stdout)).toMatchObject({
    modules: ['bottom', 'middle', 'soft', 'top'],
    builtIn: ['built_in'],
  });
});

test.each([
  [['--list', '/none/such'], '/none/such'],
  [['--modules', '/none/such'], '/none/such'],
  [['--agent', '/none/agent'], '/none/agent'],
  [['--busybox', '/none/busybox'], '/none/busybox'],
  [['--add', '/none/file:x'], '/none/file'],
  [['--enrolment-key', '/none/key'], '/none/key'],
])('%j: words and the path of what is not there', async (args, path) => {
  const what = args[0] === '--list' ? args : [join(dir, 'nothing'), ...own(), ...args];
  expect(await initramfs(what)).toEqual({
    code: 1,
    stdout: '',
    stderr: `imager: ${path}: there is no such file (ENOENT)\n`,
  });
});

test('agent and busybox that want a program loader are refused; one that can be placed anywhere and wants none is not', async () => {
  const build = (name: string, ...flags: string[]): string => {
    execFileSync('gcc', [...flags, '-o', join(dir, name), join(dir, 'main.c')]);
    return join(dir, name);
  };
  const [dynamic, pie] = [build('dynamic'), build('static-pie', '-static-pie')];
  const why = 'is not static: it wants a program loader, which the initramfs does not have';
  for (const [option, what] of [
    ['--agent', 'the agent'],
    ['--busybox', 'busybox'],
  ] as const) {
    const out = join(dir, `dynamic${option}`);
    const refused = { code: 1, stdout: '', stderr: `imager: ${what} ${why}\n` };
    expect(await initramfs([out, ...own(), option, dynamic])).toEqual(refused);
    expect(existsSync(out)).toBe(false);
    expect(await initramfs([out, ...own(), option, pie])).toMatchObject({ code: 0 });
  }
});

test('a list makes no initramfs: a file to write beside it is wrong usage', async () => {
  const out = join(dir, 'unwritten');
  const { code, stderr } = await initramfs([out, '--list', join(dir, 'agent')]);
  expect([code, stderr]).toEqual([2, `imager: --list makes no initramfs: ${out} would not be written\n`]);
});

test('a folder to write to that is not there is refused, and not made', async () => {
  const out = join(dir, 'nowhere/initrd.img');
  expect(await initramfs([out, ...own()])).toEqual({
    ...{ code: 2, stdout: '' },
    stderr: `imager: ${out}: there is no folder ${dirname(out)}\n`,
  });
  expect(existsSync(dirname(out))).toBe(false);
});

test('what is refused leaves no file, exit code 1 and one line', async () => {
  const out = join(dir, 'refused');
  expect(await initramfs([out, ...own(), '--with-module', 'e1000e'])).toEqual({
    code: 1,
    stdout: '',
    stderr: 'imager: the kernel has no module e1000e\n',
  });
  expect(() => readFileSync(out)).toThrow('ENOENT');
});

test.each([
  [['--add', '/etc/hostname:../hostname'], 1, /no relative path/],
  [['--add', '/etc/hostname:init'], 1, /init comes twice/],
  [['--add', '/dev:x'], 1, /no plain file/],
  [['--add', 'hostname'], 2, /give FILE:PATH/],
  [['--busybox', '/etc/hostname'], 1, /busybox: not a 64-bit/],
  [['--enrolment-key', '/etc/hostname'], 1, /holds no key of 64/],
  [['--with-module', 'e1000e'], 1, /no module e1000e/],
])('%j is refused before an agent is built', async (args, code, message) => {
  const words = ['--arch', NATIVE, '--busybox', 'none', '--modules', tree, '--module', 'top', '--cache', dir];
  const ran = await initramfs([join(dir, 'none'), ...words, ...args]);
  expect(ran).toEqual({ code, stdout: '', stderr: expect.stringMatching(message) });
  expect(ran.stderr.split('\n')).toHaveLength(2);
});
