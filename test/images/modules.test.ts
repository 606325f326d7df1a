import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isElf64, moduleInfo, neededLibraries } from '../../imager/images/elf.ts';
import { directNeeds, loadOrder, moduleName, readModules } from '../../imager/images/modules.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'modules-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

/** An object file with the .modinfo strings of a kernel module, made by the real compiler. */
function compileModule(path: string, info: string[]): void {
  const source = info.map(
    (text, index) =>
      `__attribute__((section(".modinfo"), used)) static const char i${index}[] = ${JSON.stringify(text)};`,
  );
  mkdirSync(dirname(join(dir, path)), { recursive: true });
  writeFileSync(join(dir, 'module.c'), source.join('\n'));
  execFileSync('gcc', ['-c', '-o', join(dir, path), join(dir, 'module.c')]);
}

test('modules come after what they need, and names are those modprobe knows', () => {
  const needs: Record<string, string[]> = {
    net: ['failover', 'ring'],
    failover: [],
    pci: ['ring', 'virtio'],
    virtio: ['ring'],
    ring: [],
  };
  expect(loadOrder(['pci', 'net'], new Set(['ext4']), (name) => needs[name])).toEqual([
    'ring',
    'virtio',
    'pci',
    'failover',
    'net',
  ]);
  expect(loadOrder(['ext4', 'ring', 'ring'], new Set(['ext4']), (name) => needs[name])).toEqual(['ring']);
  expect(moduleName('kernel/arch/x86/crypto/crc32c-intel.ko.xz')).toBe('crc32c_intel');
});

test('a module that is missing and a circle are refused with the chain', () => {
  expect(() => loadOrder(['a'], new Set(), (name) => (name === 'a' ? ['b'] : undefined))).toThrow(
    'no module b (for a)',
  );
  expect(() => loadOrder(['a'], new Set(), (name) => (name === 'a' ? ['b'] : ['a']))).toThrow('a > b > a');
});

test('in any graph without circles every need is loaded before, and nothing twice', () => {
  const graph = fc.array(fc.array(fc.nat(30), { maxLength: 4 }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(graph, (rows) => {
      // Needs point to lower numbers only: no circles.
      const needs = rows.map((row, index) => row.filter((need) => need < index).map(String));
      const wanted = rows.map((_, index) => String(index)).reverse();
      const order = loadOrder(wanted, new Set(), (name) => needs[Number(name)]);
      expect([...order].sort()).toEqual([...wanted].sort());
      for (const [at, name] of order.entries())
        for (const need of needs[Number(name)]!) expect(order.indexOf(need)).toBeLessThan(at);
    }),
  );
});

test('needs are read from the module itself, soft ones too', () => {
  compileModule('one.ko', [
    'license=GPL',
    'depends=virtio,virtio-ring',
    'softdep=pre: crc32c crypto-x post: later',
    'name=one',
  ]);
  const info = moduleInfo(readFileSync(join(dir, 'one.ko')));
  expect(info).toContainEqual(['license', 'GPL']);
  expect(directNeeds(info)).toEqual({ hard: ['virtio', 'virtio_ring'], soft: ['crc32c', 'crypto_x'] });
  expect(directNeeds([['depends', '']])).toEqual({ hard: [], soft: [] });
});

test('a kernel package is read with compressed modules and those built in', async () => {
  compileModule('tree/kernel/a/top.ko', ['depends=mid-dle', 'softdep=pre: absent extra']);
  compileModule('tree/kernel/b/mid-dle.ko', ['depends=built_in']);
  compileModule('tree/kernel/b/extra.ko', ['depends=']);
  execFileSync('xz', [join(dir, 'tree/kernel/b/mid-dle.ko')]);
  writeFileSync(join(dir, 'tree/modules.builtin'), 'kernel/c/built-in.ko\n');
  const modules = await readModules(join(dir, 'tree'), ['top', 'built_in']);
  expect(modules.map(({ name, path }) => [name, path])).toEqual([
    ['mid_dle', 'kernel/b/mid-dle.ko'],
    ['extra', 'kernel/b/extra.ko'],
    ['top', 'kernel/a/top.ko'],
  ]);
  expect(modules.every(({ content }) => isElf64(content))).toBe(true);
  await expect(readModules(join(dir, 'tree'), ['nothing'])).rejects.toThrow(
    'the kernel has no module nothing',
  );
});

test('the libraries of a program are those its loader would look for', () => {
  const libraries = neededLibraries(readFileSync(process.execPath));
  expect(libraries).toContain('libc.so.6');
  writeFileSync(join(dir, 'static.c'), 'int main(void) { return 0; }');
  execFileSync('gcc', ['-static', '-o', join(dir, 'static'), join(dir, 'static.c')]);
  expect(neededLibraries(readFileSync(join(dir, 'static')))).toEqual([]);
});

test('no bytes make the ELF reader do worse than refuse', () => {
  compileModule('fuzz.ko', ['depends=x']);
  const good = readFileSync(join(dir, 'fuzz.ko'));
  const edits = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 12 });
  fc.assert(
    fc.property(edits, fc.nat(good.length), (changes, cut) => {
      const bytes = new Uint8Array(good);
      for (const [at, byte] of changes) bytes[at] = byte;
      for (const read of [moduleInfo, neededLibraries]) {
        try {
          read(bytes.subarray(0, cut));
        } catch (error) {
          expect((error as Error).name + (error as Error).constructor.name).toMatch(/ElfError/);
        }
      }
    }),
    { numRuns: 400 },
  );
});
