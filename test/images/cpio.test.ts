import { spawnSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CpioEntry, writeCpio } from '../../imager/images/cpio.ts';

function cpio(args: string[], archive: Uint8Array, cwd?: string): string {
  const result = spawnSync('cpio', args, { input: archive, ...(cwd === undefined ? {} : { cwd }) });
  expect(String(result.stderr)).toMatch(/^\d+ blocks?\n$/);
  expect(result.status).toBe(0);
  return String(result.stdout);
}

const tree: CpioEntry[] = [
  { path: 'dev', type: 'directory' },
  { path: 'dev/console', type: 'character-device', major: 5, minor: 1 },
  { path: 'init', type: 'file', content: Buffer.from('#!'), mode: 0o755 },
  { path: 'etc', type: 'directory', mode: 0o700 },
  { path: 'etc/empty', type: 'file', content: new Uint8Array() },
  { path: 'linuxrc', type: 'symlink', target: 'init' },
];

test('one file and the trailer, byte for byte', () => {
  const archive = writeCpio([{ path: 'init', type: 'file', content: Buffer.from('hello'), mode: 0o755 }]);
  expect(String(Buffer.from(archive))).toBe(
    '070701' + // magic
      '00000001' + // inode
      '000081ed' + // mode: regular file, 0755
      '00000000' + // uid
      '00000000' + // gid
      '00000001' + // links
      '00000000' + // mtime
      '00000005' + // size
      '00000000' + // device major
      '00000000' + // device minor
      '00000000' + // rdev major
      '00000000' + // rdev minor
      '00000005' + // length of the name with its NUL
      '00000000' + // checksum
      'init\0' +
      '\0' + // 110 + 5 padded to 116
      'hello' +
      '\0\0\0' +
      '070701' +
      '00000000'.repeat(4) +
      '00000001' +
      '00000000'.repeat(6) +
      '0000000b' +
      '00000000' +
      'TRAILER!!!\0' +
      '\0\0\0',
  );
});

test('GNU cpio lists and unpacks what was written', () => {
  const archive = writeCpio(tree);
  expect(cpio(['-t', '-v', '-n'], archive)).toMatch(/crw-------\s+1 0\s+0\s+5,\s+1 .*1970 dev\/console/);
  const dir = mkdtempSync(join(tmpdir(), 'cpio-'));
  try {
    cpio(['-i', '--no-absolute-filenames', '-d'], archive, dir);
    expect(readFileSync(join(dir, 'init'), 'utf8')).toBe('#!');
    expect(lstatSync(join(dir, 'init')).mode & 0o7777).toBe(0o755);
    expect(lstatSync(join(dir, 'etc')).mode & 0o7777).toBe(0o700);
    expect(lstatSync(join(dir, 'etc/empty')).size).toBe(0);
    expect(readlinkSync(join(dir, 'linuxrc'))).toBe('init');
    const console = lstatSync(join(dir, 'dev/console'));
    expect(console.isCharacterDevice()).toBe(true);
    expect(console.rdev).toBe((5 << 8) | 1);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('the same entries give the same bytes', () => {
  expect(writeCpio(tree)).toEqual(writeCpio(structuredClone(tree)));
});

test('GNU cpio agrees on names and contents of any length', () => {
  const name = fc.stringMatching(/^[a-z0-9]{1,12}$/);
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(name, fc.uint8Array({ maxLength: 9 })), { selector: ([n]) => n }),
      (files) => {
        const archive = writeCpio(files.map(([path, content]) => ({ path, type: 'file', content })));
        const lines = cpio(['-t'], archive).split('\n').slice(0, -1);
        expect(lines).toEqual(files.map(([path]) => path));
      },
    ),
    { numRuns: 25 },
  );
});

test.each(['', '/init', 'a//b', './a', '../a', 'a/', 'TRAILER!!!', 'a\0'])(
  'the path %j is refused',
  (path) => {
    expect(() => writeCpio([{ path, type: 'directory' }])).toThrow(/no relative path/);
  },
);

test('a file before its folder and a path that comes twice are refused', () => {
  const file: CpioEntry = { path: 'a/b', type: 'file', content: new Uint8Array() };
  expect(() => writeCpio([file])).toThrow('the folder of a/b does not come before it');
  expect(() => writeCpio([{ path: 'a', type: 'directory' }, file, file])).toThrow('a/b comes twice');
});
