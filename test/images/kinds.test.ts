/** Kinds of the boot table: what a file has to be to become one, and what is served beside it. */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { generatedFile, ipxeScript, servedFiles } from '../../imager/images/generated.ts';
import { FILE_NAMES, ImageError, type LinuxImage } from '../../imager/images/image.ts';
import { inspect } from '../../imager/images/inspect.ts';
import { look } from '../../imager/images/look.ts';
import { addLinuxNbi } from '../../imager/images/nbi/add.ts';
import { decodeHeader, encodeHeader, NbiError } from '../../imager/images/nbi/header.ts';
import { BootTable } from '../../imager/images/table.ts';
import { BootTree } from '../../imager/images/tree.ts';
import type { NewImage } from '../../imager/images/wish.ts';
import { temporarySigner } from '../../imager/signing/signer.ts';
import { asKernel, wholeNbi } from '../support/kernels.ts';

const SIGNER = temporarySigner();
const x86 = asKernel('amd64', Buffer.alloc(4096));
const arm = asKernel('arm64', Buffer.alloc(4096));
/** PE/COFF: MZ, the offset of PE at 0x3c, and the machine. */
function efi(machine: number): Buffer {
  const file = Buffer.alloc(512);
  file.write('MZ');
  file.writeUInt32LE(0x80, 0x3c);
  file.write('PE\0\0', 0x80);
  file.writeUInt16LE(machine, 0x84);
  return file;
}
const sector = Buffer.alloc(1024);
sector.writeUInt16LE(0xaa55, 510);
const nbi = wholeNbi({ kernel: x86, initrd: Buffer.from('an initrd'), args: 'quiet' });
const header = decodeHeader(nbi);
const low = Buffer.from(nbi);
low.set(
  encodeHeader({
    ...header,
    segments: header.segments.map((each, at) => (at === 0 ? { ...each, address: 0xfff0 } : each)),
  }),
);
const i386 = Buffer.from(x86);
i386.writeUInt16LE(0, 0x236);
const zboot = efi(0xaa64);
zboot.write('zimg', 4);

let dir: string;
let table: BootTable;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kinds-'));
  table = await BootTable.open(join(dir, 'images'), SIGNER);
});
afterEach(() => rm(dir, { recursive: true }));

type Files = Partial<Record<'kernel' | 'initrd' | 'dtb' | 'efi' | 'bootSector' | 'nbi', Uint8Array>>;

/** An image of files with these contents. */
async function add(files: Files, rest: Partial<NewImage> = {}, name = 'a') {
  const paths: Record<string, string> = {};
  for (const [file, content] of Object.entries(files)) {
    paths[file] = join(dir, file);
    await writeFile(paths[file], content);
  }
  return table.add({ name, ...paths, ...rest });
}

test.each<[string, Files, Partial<NewImage>, string[]]>([
  [
    'linux',
    { kernel: x86, initrd: arm },
    { arch: 'amd64', args: 'quiet' },
    ['kernel', 'initrd', 'boot.ipxe', 'manifest.env'],
  ],
  [
    'linux',
    { kernel: arm, initrd: arm, dtb: arm },
    { arch: 'arm64' },
    ['kernel', 'initrd', 'dtb', 'boot.ipxe', 'manifest.env'],
  ],
  ['efi', { efi: efi(0x8664) }, {}, ['boot.efi', 'boot.ipxe']],
  ['boot-sector', { bootSector: sector }, {}, ['boot.img', 'boot.ipxe']],
  ['nbi', { nbi }, {}, ['boot.nbi', 'boot.ipxe', 'nbi.0']],
])('%s: what is signed is what is served, all of it', async (kind, files, rest, names) => {
  const image = await add(files, rest);
  const tree = new BootTree(table);
  const open = (name: string) => tree.open(`images/a/${name}`, { address: '10.0.0.1' });
  expect(image.kind).toBe(kind);
  expect(servedFiles(image).map(({ name }) => name)).toEqual(names);
  for (const { name, bytes, sha256 } of servedFiles(image)) {
    const file = (await open(name))!;
    const content = Buffer.alloc(file.size);
    await file.read(content, 0);
    await file.close();
    expect([name, file.size, createHash('sha256').update(content).digest('hex')]).toEqual([
      name,
      bytes,
      sha256,
    ]);
  }
  for (const name of [...FILE_NAMES, 'boot.ipxe', 'manifest.env', 'nbi.0'].filter(
    (each) => !names.includes(each),
  ))
    expect([name, await open(name)]).toEqual([name, undefined]);
});

test.each<[string, Files, Partial<NewImage>, object]>([
  ['amd64', { kernel: x86, initrd: arm }, { arch: 'amd64' }, { kind: 'linux', arch: 'amd64', args: '' }],
  ['arm64', { kernel: arm, initrd: arm }, { arch: 'arm64' }, { kind: 'linux', arch: 'arm64' }],
  [
    'arm64, gzipped',
    { kernel: gzipSync(arm), initrd: arm },
    { arch: 'arm64' },
    { kind: 'linux', arch: 'arm64' },
  ],
  ['arm64, EFI zboot', { kernel: zboot, initrd: arm }, { arch: 'arm64' }, { kind: 'linux', arch: 'arm64' }],
  ['efi', { efi: efi(0x8664) }, { args: 'quiet' }, { kind: 'efi', arch: 'amd64', args: 'quiet' }],
  ['efi', { efi: efi(0xaa64) }, { arch: 'arm64' }, { kind: 'efi', arch: 'arm64' }],
  ['boot sector', { bootSector: sector }, {}, { kind: 'boot-sector', arch: 'amd64' }],
  ['nbi', { nbi }, {}, { kind: 'nbi', arch: 'amd64' }],
])('added: %s', async (_, files, rest, expected) => {
  const image = await add(files, rest);
  expect(image).toMatchObject(expected);
  expect(table.get('a')).toEqual(image);
  expect(table.problems()).toEqual([]);
});

test.each<[string, Files, Partial<NewImage>, RegExp]>([
  ['nothing', {}, {}, /give exactly one/],
  ['two', { efi: efi(0x8664), nbi }, {}, /give exactly one/],
  ['no initrd', { kernel: x86 }, { arch: 'amd64' }, /a kernel needs an initrd/],
  ['no arch', { kernel: x86, initrd: arm }, {}, /a kernel needs an architecture/],
  ['initrd of a sector', { bootSector: sector, initrd: arm }, {}, /boot-sector has no initrd/],
  ['arguments of a tagged image', { nbi }, { args: 'quiet' }, /nbi takes no arguments/],
  [
    'the other architecture',
    { kernel: arm, initrd: arm },
    { arch: 'amd64' },
    /the kernel is a Linux kernel for arm64, not for amd64/,
  ],
  [
    'the other, gzipped',
    { kernel: gzipSync(arm), initrd: arm },
    { arch: 'amd64' },
    /for arm64, gzipped, not for amd64/,
  ],
  ['32 bits', { kernel: i386, initrd: arm }, { arch: 'amd64' }, /a Linux kernel for i386, not for amd64/],
  [
    'a gzipped bzImage',
    { kernel: gzipSync(x86), initrd: arm },
    { arch: 'amd64' },
    /PC firmware does not unpack it/,
  ],
  [
    'text',
    { kernel: Buffer.from('text'), initrd: arm },
    { arch: 'arm64' },
    /no boot file known here, not a Linux kernel/,
  ],
  [
    'vmlinux',
    { kernel: Buffer.from('\x7fELF'), initrd: arm },
    { arch: 'arm64' },
    /an ELF file, not a Linux kernel/,
  ],
  [
    'gzipped text',
    { kernel: gzipSync('text'), initrd: arm },
    { arch: 'arm64' },
    /a gzip file, not a Linux kernel/,
  ],
  ['efi of text', { efi: Buffer.from('text') }, {}, /no UEFI program/],
  ['efi for 32 bits', { efi: efi(0x14c) }, {}, /the UEFI program is for i386/],
  ['efi for something else', { efi: efi(0x1234) }, {}, /for machine 0x1234/],
  [
    'efi of the other architecture',
    { efi: efi(0x8664) },
    { arch: 'arm64' },
    /the file is for amd64, not for arm64/,
  ],
  ['no boot sector', { bootSector: Buffer.alloc(512) }, {}, /bytes 510 and 511 should be 55 AA/],
  ['a kernel as sector', { bootSector: x86 }, {}, /a Linux kernel for amd64/],
  [
    'a disk of no kind',
    { bootSector: Buffer.concat([sector, Buffer.alloc(8_000_000 - 512)]) },
    {},
    /a disk of 8000512 bytes is larger than a diskette .* up to 8225280 bytes/,
  ],
  ['half a sector', { bootSector: sector.subarray(0, 1000) }, {}, /not made of whole sectors: 1000 bytes/],
  ['no tagged image', { nbi: sector }, {}, /does not begin with 36 13 03 1B/],
  ['a tagged image in the place of its loader', { nbi: low }, {}, /image a: segment 1 begins at 0xfff0: /],
  ['half a tagged image', { nbi: nbi.subarray(0, 2000) }, {}, /image a: the file is cut short: 2000 of/],
])('refused: %s', async (_, files, rest, message) => {
  const adding = add(files, rest);
  await expect(adding).rejects.toThrow(ImageError);
  await expect(adding).rejects.toThrow(message);
  expect(await readdir(join(dir, 'images'))).toEqual([]);
});

test('a tagged image is made of what is in the table', async () => {
  const linux = await add(
    { kernel: x86, initrd: Buffer.from('an initrd') },
    { arch: 'amd64', args: 'quiet' },
  );
  const tagged = await addLinuxNbi(table, linux, { name: 'tagged' });
  expect(tagged).toMatchObject({ kind: 'nbi', args: '', files: { 'boot.nbi': { bytes: nbi.length } } });
  expect(await addLinuxNbi(table, linux, { name: 'tagged', args: 'quiet' })).toEqual(tagged);
  await expect(addLinuxNbi(table, linux, { name: 'tagged', args: 'loud' })).rejects.toThrow(/other content/);
  await expect(addLinuxNbi(table, tagged, { name: 'b' })).rejects.toThrow(/of the kind nbi for amd64/);
  const board = await add({ kernel: arm, initrd: arm }, { arch: 'arm64' }, 'board');
  await expect(addLinuxNbi(table, board, { name: 'b' })).rejects.toThrow(/of the kind linux for arm64/);
});

test('a tagged image is made of what was added, and of nothing else', async () => {
  const initrd = Buffer.alloc(3_000_000, 'an initrd');
  const kernel = asKernel('amd64', Buffer.alloc(2_500_000, 'code'));
  const linux = await add({ kernel, initrd }, { arch: 'amd64', args: 'quiet' });
  await addLinuxNbi(table, linux, { name: 'tagged' });
  const whole = wholeNbi({ kernel, initrd, args: 'quiet' });
  expect((await readFile(table.path('tagged', 'boot.nbi'))).equals(whole)).toBe(true);
  for (const file of ['kernel', 'initrd'] as const) {
    const bytes = await readFile(table.path('a', file));
    await writeFile(table.path('a', file), Buffer.from(bytes).fill(1, 2_400_000, 2_400_001));
    await expect(addLinuxNbi(table, linux, { name: 'b' })).rejects.toThrow(
      new RegExp(`^${file} of image a is damaged: it has sha256 `),
    );
    await writeFile(table.path('a', file), bytes);
  }
  expect((await readdir(join(dir, 'images'))).sort()).toEqual(['a', 'tagged']);
});

test('a close interrupts the making of a tagged image', async () => {
  await add({ kernel: x86, initrd: Buffer.from('an initrd') }, { arch: 'amd64' });
  const a = table.get('a') as LinuxImage;
  a.files.initrd.bytes = 2 ** 30;
  await truncate(table.path('a', 'initrd'), a.files.initrd.bytes);
  const adding = addLinuxNbi(table, a, { name: 'b' });
  const refused = expect(adding).rejects.toThrow('the imager is being stopped: nothing was added');
  while ((await readdir(join(dir, 'images'))).length === 1) await setImmediate();
  await table.close();
  expect(await readdir(join(dir, 'images'))).toEqual(['a']);
  await refused;
});

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: iPXE's settings
test('scripts of each kind, and what else is made for it', async () => {
  const script = async (files: Files, rest: Partial<NewImage>, name: string) =>
    ipxeScript(await add(files, rest, name))
      .split('\n')
      .slice(1, -1);
  expect(await script({ efi: efi(0x8664) }, {}, 'shell')).toEqual([
    'iseq ${platform} efi || echo bootwright: firmware error image shell needs UEFI firmware',
    'iseq ${platform} efi || exit 1',
    'echo bootwright: firmware boot shell',
    'chain --timeout 3000 boot.efi',
  ]);
  expect((await script({ efi: efi(0x8664) }, { args: 'quiet' }, 'uki')).at(-1)).toBe(
    'chain --timeout 3000 boot.efi ${bw_cmdline} quiet',
  );
  const disk = async (bytes: number) => {
    const bootSector = Buffer.alloc(bytes);
    sector.copy(bootSector);
    return (await script({ bootSector }, {}, `disk-${bytes}`)).at(-1);
  };
  expect(await disk(34_304)).toBe('chain --timeout 3000 boot.img');
  expect(await disk(34_816)).toBe('sanboot --no-describe --drive 0x00 boot.img');
  expect(await disk(2_949_120)).toBe('sanboot --no-describe --drive 0x00 boot.img');
  expect(await disk(8_225_280)).toBe('sanboot --no-describe --drive 0x80 boot.img');
  expect((await script({ nbi }, {}, 'tagged')).slice(2)).toEqual([
    'isset ${bw_cmdline} && set 129:string ${bw_cmdline} ||',
    'imgfetch --timeout 3000 nbi.0',
    'isset ${bw_imager} && set next-server ${bw_imager} ||',
    'isset ${next-server} || set next-server ${dhcp-server} ||',
    'echo bootwright: firmware boot tagged',
    'imgexec nbi.0 ||',
    'imgfree nbi.0 ||',
    'exit 1',
  ]);
  const tagged = table.get('tagged')!;
  expect(generatedFile(tagged, 'nbi.0')).toBeDefined();
  expect(generatedFile(tagged, 'manifest.env')).toBeUndefined();
  expect(generatedFile(table.get('disk-34816')!, 'nbi.0')).toBeUndefined();
});
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: iPXE's settings

test('a look at any bytes says something, and inspecting them too unless they are a broken tagged image', () => {
  const starts = [x86, arm, zboot, efi(0x8664), sector, Buffer.from(nbi), gzipSync(arm)];
  const spoilt = fc.tuple(
    fc.constantFrom(...starts),
    fc.array(fc.tuple(fc.nat(0x270), fc.nat(255)), { maxLength: 5 }),
    fc.nat(3000),
  );
  fc.assert(
    fc.property(spoilt, ([start, changes, length]) => {
      const file = Buffer.from(start.subarray(0, Math.max(length, 1)));
      for (const [at, value] of changes) if (at < file.length) file[at] = value;
      expect(look(file).words).not.toBe('');
      try {
        expect(inspect(file, file.length).words).toBe(look(file).words);
      } catch (error) {
        expect(error).toBeInstanceOf(NbiError);
        expect(() => decodeHeader(file)).toThrow(NbiError);
      }
    }),
    { numRuns: 1000 },
  );
});
