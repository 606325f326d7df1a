/** Pointer stores on devices that this machine lacks: a chip behind at24, NOR flash. Files stand for them. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { openPointerStore } from '../../agent/linux/eeprom.ts';
import { NodeHost } from '../../agent/node/host.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { FIELDS } from './stores.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'devices-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A host whose devices are files in `dir`, and that says what was written to them. */
class DeviceHost extends NodeHost {
  readonly writes: { offset: number; length: number }[] = [];
  #at(path: string): string {
    return /^\/(dev|sys)\//.test(path) ? join(dir, path.replaceAll('/', '_')) : path;
  }
  override readFile(path: string) {
    return super.readFile(this.#at(path));
  }
  override exists(path: string) {
    return super.exists(this.#at(path));
  }
  override readStored(path: string, offset: number, length: number) {
    return super.readStored(this.#at(path), offset, length);
  }
  override writeStored(path: string, offset: number, bytes: Uint8Array) {
    this.writes.push({ offset, length: bytes.length });
    super.writeStored(this.#at(path), offset, bytes);
  }
}
const device = (path: string, content: string | Uint8Array) =>
  writeFileSync(join(dir, path.replaceAll('/', '_')), content);

describe('a 24Cxx chip', () => {
  const CHIP = '/sys/bus/i2c/devices/0-0050/eeprom';

  it.each([
    [256, 8],
    [1024, 16],
    [4096, 32],
    [8192, 32],
    [32768, 64],
    [65536, 128],
  ])('of %i bytes: its size is found, and no write crosses a page of %i', (size, page) => {
    device(CHIP, new Uint8Array(size).fill(0xff));
    const host = new DeviceHost();
    for (const image of ['alpha', 'beta', 'gamma'])
      openPointerStore(host, 'eeprom', CHIP).write({ ...FIELDS, image });
    const store = openPointerStore(host, 'eeprom', CHIP);
    expect(store.read()).toMatchObject({ active: 0, pointer: { image: 'gamma', sequence: 3 } });
    expect(store.layout.size).toBe(Math.min(size, 2048));
    expect(host.writes.length).toBeGreaterThan(2);
    for (const { offset, length } of host.writes)
      expect(Math.floor(offset / page)).toBe(Math.floor((offset + length - 1) / page));
  });

  it.each([100, 5000, 65_537, 131_072])('a file of %i bytes is none', (size) => {
    device(CHIP, new Uint8Array(size));
    expect(() => openPointerStore(new DeviceHost(), 'eeprom', CHIP)).toThrow(
      `${CHIP}: ${Math.min(size, 65_537)} bytes is not the size of a 24Cxx chip`,
    );
  });
});

describe("U-Boot's environment in flash", () => {
  const block = readFileSync(projectFile('fixtures/pointer/mkenvimage-redundant.bin'));
  const erased = new Uint8Array(block.length).fill(0xff);
  const config = (name: string) => {
    const path = join(dir, 'fw_env.config');
    writeFileSync(path, `${name} 0 400\n${name} 0x400 400 400\n`);
    return path;
  };

  test.each([
    ['nor', 'boolean', [0, 1]],
    ['dataflash', 'boolean', [0, 1]],
    ['nand', 'counter', [1, 2]],
  ])('%s: flag bytes are %s', (type, _scheme, flags) => {
    device('/sys/class/mtd/mtd3/type', `${type}\n`);
    device('/dev/mtdblock3', Buffer.concat([block, erased]));
    openPointerStore(new DeviceHost(), 'fw-env', config('/dev/mtdblock3')).write({
      ...FIELDS,
      image: 'beta',
    });
    const bytes = readFileSync(join(dir, '_dev_mtdblock3'));
    expect([bytes[4], bytes[block.length + 4]]).toEqual(flags);
  });

  test.each(['/dev/mtd3', '/dev/ubi0_1'])('%s is read, and not written: it must be erased first', (name) => {
    device(name, Buffer.concat([block, erased]));
    const host = new DeviceHost();
    const store = openPointerStore(host, 'fw-env', config(name));
    expect(store.read().pointer).toMatchObject({ image: 'alpha' });
    expect(() => store.write({ ...FIELDS, image: 'beta' })).toThrow(
      `not written: ${name} must be erased before it is written`,
    );
    expect(host.writes).toEqual([]);
  });

  test('a single one on /dev/mtd3 is refused before its spare copy is made', () => {
    device('/dev/mtd3', readFileSync(projectFile('fixtures/pointer/mkenvimage-single.bin')));
    const path = join(dir, 'fw_env.config');
    writeFileSync(path, '/dev/mtd3 0 400\n');
    const store = openPointerStore(new DeviceHost(), 'fw-env', path);
    expect(store.read()).toMatchObject({ active: 0, pointer: { image: 'alpha' } });
    expect(() => store.write({ ...FIELDS, image: 'beta' })).toThrow('/dev/mtd3 must be erased before');
    expect(existsSync(`${path}.spare`)).toBe(false);
    expect(store.read().slots[1]).toEqual({ kind: 'empty' });
  });

  test('two copies in one sector that is erased are read, and not written', () => {
    device('/sys/class/mtd/mtd3/type', 'nor\n');
    device('/sys/class/mtd/mtd3/erasesize', '65536\n');
    device('/dev/mtdblock3', Buffer.concat([block, erased]));
    const path = join(dir, 'fw_env.config');
    writeFileSync(path, '/dev/mtdblock3 0 400\n/dev/mtdblock3 0x400 400\n');
    const host = new DeviceHost();
    const store = openPointerStore(host, 'fw-env', path);
    expect(store.read().pointer).toMatchObject({ image: 'alpha' });
    expect(() => store.write({ ...FIELDS, image: 'beta' })).toThrow(
      'share bytes or an erase sector of /dev/mtdblock3',
    );
    expect(host.writes).toEqual([]);
  });

  test('an eMMC boot partition is writable only while it is written', () => {
    device('/sys/block/mmcblk0boot0/force_ro', '1');
    device('/dev/mmcblk0boot0', Buffer.concat([block, erased]));
    const seen: string[] = [];
    class Watched extends DeviceHost {
      override writeStored(path: string, offset: number, bytes: Uint8Array) {
        seen.push(path.startsWith('/sys/') ? `force_ro ${Buffer.from(bytes)}` : path);
        super.writeStored(path, offset, bytes);
      }
    }
    openPointerStore(new Watched(), 'fw-env', config('/dev/mmcblk0boot0')).write({
      ...FIELDS,
      image: 'beta',
    });
    expect(seen).toEqual(['force_ro 0', '/dev/mmcblk0boot0', 'force_ro 1']);
  });
});
