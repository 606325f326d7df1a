/** U-Boot's own environment: blocks as its tools write them, the configuration file, and the tools themselves. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { openPointerStore } from '../../agent/linux/eeprom.ts';
import { NodeHost } from '../../agent/node/host.ts';
import {
  decodeEnvBlock,
  type EnvBlock,
  encodeEnvBlock,
  sortedVariables,
} from '../../agent/protocol/pointer/env-block.ts';
import { conflictOf, parseFwEnvConfig } from '../../agent/protocol/pointer/fw-env-config.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { parseEnvironment } from '../../firmware-stubs/rig/uboot-environment.ts';
import { ENV_SIZE, FIELDS } from './stores.ts';

const golden = (name: string) => new Uint8Array(readFileSync(projectFile(`fixtures/pointer/${name}`)));
const BOARD = parseEnvironment(Buffer.from(golden('board.env')).toString());

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fw-env-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('blocks', () => {
  test.each([
    ['mkenvimage-single.bin', undefined],
    ['mkenvimage-redundant.bin', 1],
  ])('%s, byte for byte', (name, flag) => {
    const bytes = golden(name);
    expect(encodeEnvBlock({ variables: BOARD, flag }, ENV_SIZE)).toEqual(bytes);
    expect(decodeEnvBlock(bytes, flag !== undefined)).toEqual({ variables: BOARD, flag });
  });

  test('free bytes may hold anything, the CRC is over them', () => {
    expect(decodeEnvBlock(golden('mkenvimage-single-ff.bin'), false)).toEqual({
      variables: BOARD,
      flag: undefined,
    });
  });

  test.each([
    ['fw_setenv-redundant.bin', 2],
    ['fw_setenv-wrapped.bin', 0],
  ])('%s, byte for byte: variables sorted', (name, flag) => {
    const block = golden(name).subarray(ENV_SIZE);
    const found = decodeEnvBlock(block, true) as EnvBlock;
    expect(found.flag).toBe(flag);
    expect(encodeEnvBlock({ variables: sortedVariables(found.variables), flag }, ENV_SIZE)).toEqual(block);
  });

  test('values of any bytes are written again as they were', () => {
    const text = fc.stringMatching(/^[^\0=]{1,20}$/).map((word) => Buffer.from(word).toString('latin1'));
    fc.assert(
      fc.property(fc.dictionary(text, text), fc.option(fc.nat(255), { nil: undefined }), (record, flag) => {
        const variables = new Map(Object.entries(record));
        const block = encodeEnvBlock({ variables, flag }, 0x2000);
        expect(decodeEnvBlock(block, flag !== undefined)).toEqual({ variables, flag });
      }),
    );
  });

  test('what is no environment', () => {
    expect(decodeEnvBlock(new Uint8Array(64), false)).toEqual({ empty: true, why: 'never written' });
    expect(decodeEnvBlock(new Uint8Array(64).fill(0xff), true)).toEqual({
      empty: true,
      why: 'never written',
    });
    expect(decodeEnvBlock(new Uint8Array(4), false)).toEqual({ empty: false, why: 'environment of 4 bytes' });
    const damaged = golden('mkenvimage-single.bin');
    damaged[9]! ^= 1;
    expect(decodeEnvBlock(damaged, false)).toMatchObject({
      empty: false,
      why: expect.stringMatching(/^CRC-32 is 0x/),
    });
    // A redundant block read as a single one, and the other way round.
    expect(decodeEnvBlock(golden('mkenvimage-redundant.bin'), false)).toHaveProperty('why');
    expect(decodeEnvBlock(golden('mkenvimage-single.bin'), true)).toHaveProperty('why');
  });

  test('more than fits', () => {
    const variables = new Map([['a', 'b'.repeat(100)]]);
    expect(() => encodeEnvBlock({ variables, flag: 1 }, 100)).toThrow(
      'environment of 109 bytes, at most 100 fit',
    );
    expect(encodeEnvBlock({ variables, flag: 1 }, 109)).toHaveLength(109);
  });
});

describe('fw_env.config', () => {
  test('one place, two places, comments, and how numbers are written', () => {
    expect(parseFwEnvConfig('# Device  Offset  Size\n\n/dev/mtd1\t0x0 0x4000 0x4000\n')).toEqual([
      { device: '/dev/mtd1', offset: 0, size: 0x4000, sectorSize: 0x4000 },
    ]);
    const two = '/dev/mmcblk0 512 4000\n/dev/mmcblk0 0x20000 0x4000 200 20\nwhat comes after two\n';
    expect(parseFwEnvConfig(two)).toEqual([
      { device: '/dev/mmcblk0', offset: 512, size: 0x4000, sectorSize: undefined },
      { device: '/dev/mmcblk0', offset: 0x20000, size: 0x4000, sectorSize: 0x200 },
    ]);
    expect(parseFwEnvConfig('uboot.env 010 0x4000')[0].offset).toBe(8);
  });

  test.each([
    ['', 'no line DEVICE OFFSET SIZE in it'],
    ['# nothing', 'no line DEVICE OFFSET SIZE in it'],
    ['/dev/mtd1 0x0', 'line 1: expected DEVICE OFFSET SIZE'],
    ['# \n/dev/mtd1 zero 0x4000', 'line 2: offset "zero" is not a number'],
    ['/dev/mtd1 -0x4000 0x4000', 'line 1: offset -0x4000 counts from the end of the device'],
    ['/dev/mtd1 0 0', 'line 1: size "0" is not a number from 0x10 to 0x1000000'],
    ['/dev/mtd1 0 xyz', 'line 1: size "xyz" is not a number'],
    ['/dev/mtd1 0 ffffffff', 'line 1: size "ffffffff"'],
    ['/dev/mtd1 0 4000 xyz', 'line 1: sector size "xyz" is not a number'],
    [
      '/dev/mtd1 0x2000 0x1000 0x10000',
      'line 1: offset 0x2000 is not where a sector of 0x10000 bytes begins',
    ],
    ['/dev/a 0 4000\n/dev/b 0 8000', 'the copies have 16384 and 32768 bytes'],
  ])('%j', (text, fault) => {
    expect(() => parseFwEnvConfig(text)).toThrow(fault);
  });

  test.each([
    ['/dev/a 0 4000\n/dev/a 0x4000 4000', false],
    ['/dev/a 0 4000\n/dev/a 0x3fff 4000', true],
    ['/dev/a 0x3fff 4000\n/dev/a 0 4000', true],
    ['/dev/a 0 4000 10000\n/dev/a 0x10000 4000 10000', false],
    ['/dev/a 0 4000 10000\n/dev/a 0x4000 4000', true],
    ['/dev/a 0 4000 10000\n/dev/b 0x0 4000', false],
  ])('%j: copies in the way of each other: %s', (text, conflict) => {
    const [first, second] = parseFwEnvConfig(text);
    expect(conflictOf(first, second!) !== undefined).toBe(conflict);
  });
});

/** A store on files in `dir`, with the configuration that both sides are given. */
function open(blocks: Uint8Array[], file = 'env.bin') {
  const path = join(dir, file);
  const config = join(dir, 'fw_env.config');
  writeFileSync(path, Buffer.concat(blocks));
  writeFileSync(
    config,
    blocks.map((_, i) => `${path} ${i * ENV_SIZE} 0x${ENV_SIZE.toString(16)}\n`).join(''),
  );
  return {
    path,
    config,
    store: () => openPointerStore(new NodeHost(), 'fw-env', config),
    printenv: (...names: string[]) => execFileSync('fw_printenv', ['-c', config, ...names]).toString(),
    setenv: (...words: string[]) => execFileSync('fw_setenv', ['-c', config, ...words], { stdio: 'pipe' }),
  };
}

const ERASED = new Uint8Array(ENV_SIZE).fill(0xff);

describe('with fw_printenv and fw_setenv', () => {
  test('golden: what fw_setenv wrote is read, the newer one, over the wrap of the counter', () => {
    const { store } = open([
      golden('fw_setenv-redundant.bin').subarray(0, ENV_SIZE),
      golden('fw_setenv-redundant.bin').subarray(ENV_SIZE),
    ]);
    expect(store().read()).toMatchObject({
      active: 1,
      slots: [{ kind: 'valid', pointer: { image: 'alpha', sequence: 7 } }, { kind: 'valid' }],
      pointer: { image: 'beta', sequence: 8, deployment: 'd2', attempts: 2, fallback: '' },
    });
    const wrapped = golden('fw_setenv-wrapped.bin');
    const after = open([wrapped.subarray(0, ENV_SIZE), wrapped.subarray(ENV_SIZE)]);
    expect(after.store().read()).toMatchObject({ active: 1, pointer: { sequence: 256 } });
  });

  test.each([
    ['redundant', [golden('mkenvimage-redundant.bin'), ERASED]],
    ['single', [golden('mkenvimage-single.bin')]],
  ])('%s: each reads what the other wrote, and keeps the rest', (_name, blocks) => {
    const { store, printenv, setenv } = open(blocks);
    expect(store().write({ ...FIELDS, image: 'beta', deployment: 'd2' })).toMatchObject({ sequence: 8 });
    const printed = parseEnvironment(printenv());
    expect(printed).toEqual(
      new Map(
        [...BOARD, ['bw_sequence', '8'], ['bw_image', 'beta'], ['bw_deployment', 'd2']].sort() as [
          string,
          string,
        ][],
      ),
    );
    setenv('bw_image', 'gamma');
    setenv('bootdelay', '5');
    expect(store().read().pointer).toMatchObject({ image: 'gamma', deployment: 'd2' });
    store().write({ ...FIELDS, image: 'delta' });
    expect(printenv('bootdelay', 'bw_image', 'serial#')).toBe(
      'bootdelay=5\nbw_image=delta\nserial#=0123456789\n',
    );
  });

  test('a write of ours is, byte for byte, that of fw_setenv', () => {
    const [a, b] = [open([golden('mkenvimage-redundant.bin'), ERASED], 'a'), join(dir, 'b.config')];
    const other = join(dir, 'b');
    writeFileSync(other, readFileSync(a.path));
    writeFileSync(b, readFileSync(a.config, 'utf8').replaceAll(a.path, other));
    for (const image of ['beta', 'gamma', 'delta']) {
      const { sequence } = a.store().write({ ...FIELDS, image });
      const script = join(dir, 'script');
      writeFileSync(script, `bw_image=${image}\nbw_sequence=${sequence}\n`);
      execFileSync('fw_setenv', ['-c', b, '-s', script]);
      expect(readFileSync(a.path)).toEqual(readFileSync(other));
    }
  });

  // libubootenv 0.3.2 keeps the first of the types alone.
  test('types of variables (.flags) are kept as they are', () => {
    const flags = 'bootdelay:da,ethaddr:ma';
    const block = encodeEnvBlock({ variables: new Map([...BOARD, ['.flags', flags]]), flag: 1 }, ENV_SIZE);
    const { store, path } = open([block, ERASED]);
    store().write({ ...FIELDS, image: 'beta' });
    const written = decodeEnvBlock(new Uint8Array(readFileSync(path)).subarray(ENV_SIZE), true) as EnvBlock;
    expect([...written.variables][0]).toEqual(['.flags', flags]);
    expect(written.variables.size).toBe(BOARD.size + 1);
  });

  test('both take turns for more than one round of the counter', { timeout: 60_000 }, () => {
    const { store, setenv, path } = open([golden('mkenvimage-redundant.bin'), ERASED]);
    for (let i = 0; i < 132; i++) {
      expect(store().write({ ...FIELDS, deployment: `d${i}` }).deployment).toBe(`d${i}`);
      setenv('bw_deployment', `e${i}`);
      expect(store().read().pointer?.deployment).toBe(`e${i}`);
    }
    const bytes = readFileSync(path);
    expect([bytes[4], bytes[ENV_SIZE + 4]].sort()).toEqual([8, 9]);
  });

  test('a damaged copy: both go on with the other', () => {
    const { store, printenv, path } = open([golden('mkenvimage-redundant.bin'), ERASED]);
    store().write({ ...FIELDS, image: 'beta' });
    const bytes = readFileSync(path);
    bytes[ENV_SIZE + 40]! ^= 1;
    writeFileSync(path, bytes);
    expect(store().read()).toMatchObject({ active: 0, slots: [{ kind: 'valid' }, { kind: 'torn' }] });
    expect(printenv('bw_image')).toBe('bw_image=alpha\n');
    expect(store().write({ ...FIELDS, image: 'gamma' }).image).toBe('gamma');
    expect(printenv('bw_image')).toBe('bw_image=gamma\n');
  });
});

describe('never a fresh default', () => {
  it.each([
    ['redundant', [golden('mkenvimage-redundant.bin'), golden('mkenvimage-redundant.bin')]],
    ['single', [golden('mkenvimage-single.bin')]],
  ])('%s with wrong CRCs: nothing is written', (_name, blocks) => {
    const damaged = blocks.map((block) => block.map((byte, i) => (i === 30 ? byte ^ 1 : byte)));
    const { store, path } = open(damaged);
    const before = readFileSync(path);
    expect(store().read()).toMatchObject({ active: undefined, pointer: undefined });
    expect(() => store().write(FIELDS)).toThrow(/no copy of the environment is sound .*restore it first/);
    expect(readFileSync(path)).toEqual(before);
    expect(existsSync(join(dir, 'fw_env.config.spare'))).toBe(false);
  });

  it('an erased environment: the built-in one is left in force', () => {
    const { store, path } = open([ERASED, ERASED]);
    expect(() => store().write(FIELDS)).toThrow(
      /would take the place of the built-in one: let U-Boot write its own first/,
    );
    expect(readFileSync(path)).toEqual(Buffer.concat([ERASED, ERASED]));
  });

  it('an environment without a pointer has room for one; a full one is refused', () => {
    const block = (value: string) =>
      encodeEnvBlock({ variables: new Map([['a', value]]), flag: 1 }, ENV_SIZE);
    const empty = open([block('b'), ERASED]);
    expect(empty.store().read()).toMatchObject({ active: 0, slots: [{ kind: 'empty' }, { kind: 'empty' }] });
    expect(empty.store().write(FIELDS).sequence).toBe(1);
    const full = open([block('b'.repeat(ENV_SIZE - 20)), ERASED], 'full');
    const before = readFileSync(full.path);
    expect(() => full.store().write(FIELDS)).toThrow(
      /boot pointer not written: environment of \d+ bytes, at most 1024 fit/,
    );
    expect(readFileSync(full.path)).toEqual(before);
  });
});

describe('single', () => {
  it('the spare copy restores what a power cut left', () => {
    const { store, path, config, printenv } = open([golden('mkenvimage-single.bin')]);
    store().write({ ...FIELDS, image: 'beta' });
    expect(readFileSync(`${config}.spare`)).toEqual(readFileSync(path));
    writeFileSync(path, Buffer.concat([readFileSync(path).subarray(0, 100), new Uint8Array(ENV_SIZE - 100)]));
    expect(store().read()).toMatchObject({ active: 1, pointer: { image: 'beta' } });
    store().write({ ...FIELDS, image: 'beta' });
    expect(printenv('bw_image', 'ethaddr')).toBe('bw_image=beta\nethaddr=52:54:00:77:00:11\n');
  });

  it('inside a larger image only its own bytes are written', () => {
    const path = join(dir, 'flash');
    const rest = new Uint8Array(512).fill(0x5a);
    writeFileSync(path, Buffer.concat([rest, golden('mkenvimage-single.bin'), rest]));
    writeFileSync(join(dir, 'config'), `${path} 512 400\n`);
    openPointerStore(new NodeHost(), 'fw-env', join(dir, 'config')).write({ ...FIELDS, image: 'beta' });
    const bytes = new Uint8Array(readFileSync(path));
    expect(bytes).toHaveLength(2048);
    expect([bytes.subarray(0, 512), bytes.subarray(-512)]).toEqual([rest, rest]);
  });
});

test('errors name the configuration, the device, and what to do', () => {
  const config = join(dir, 'fw_env.config');
  const open = () => openPointerStore(new NodeHost(), 'fw-env', config);
  expect(open).toThrow(/ENOENT.*fw_env\.config/);
  writeFileSync(config, '/dev/mtd1 0\n');
  expect(open).toThrow(`${config}: line 1: expected DEVICE OFFSET SIZE`);
  writeFileSync(config, `${dir}/none 0 400\n`);
  expect(() => open().read()).toThrow(/ENOENT.*none/);
});
