/** `agent pointer` and `agent efi` on every kind of store and on both runtimes: what they print; and their exit codes, as a program. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEVICE_SIZE, STORE_KINDS } from '../../agent/linux/eeprom.ts';
import { NodeHost } from '../../agent/node/host.ts';
import {
  encodeBootNumbers,
  encodeVariable,
  GLOBAL_GUID,
} from '../../agent/protocol/pointer/efi-variables.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { rpiImage } from '../pointer/rpi-image.ts';
import { buildAgentsFirst, RUNTIMES } from '../support/agent-process.ts';
import { quickVerb, runAgent, verb, verbOn } from '../support/agent-verbs.ts';

buildAgentsFirst();

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pointer-verbs-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const POINTER = '--image alpha --disk n1-root --imager 10.77.0.1 --cluster lab'.split(' ');

/** A store of each kind that never had a pointer. */
const FRESH: Record<keyof typeof STORE_KINDS, () => string> = {
  'uboot-env': () => file('disk', new Uint8Array(0x2000)),
  'ipxe-script': () => file('disk', readFileSync(projectFile('firmware-stubs/ipxe/eeprom.ipxe'))),
  eeprom: () => file('eeprom', new Uint8Array(4096).fill(0xff)),
  'fw-env': () => {
    const block = readFileSync(projectFile('fixtures/pointer/mkenvimage-redundant.bin'));
    const env = file('env', Buffer.concat([block, Buffer.alloc(block.length, 0xff)]));
    return file('fw_env.config', Buffer.from(`${env} 0 400\n${env} 0x400 400\n`));
  },
  efivars: () => {
    mkdirSync(join(dir, 'efivars'));
    return join(dir, 'efivars');
  },
  'rpi-eeprom': () => file('pieeprom.bin', rpiImage()),
};

function file(name: string, content: Uint8Array): string {
  writeFileSync(join(dir, name), content);
  return join(dir, name);
}

function damage(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 0x40;
  writeFileSync(path, bytes);
}

const KINDS = Object.keys(FRESH) as (keyof typeof FRESH)[];

describe.each(RUNTIMES.flatMap((runtime) => KINDS.map((kind) => [kind, runtime] as const)))(
  '%s, %s',
  (kind, runtime) => {
    const verb = (...args: string[]) => quickVerb(runtime, ...args);

    it('set, show, verify, history', async () => {
      const store = `${kind}:${FRESH[kind]()}`;
      // U-Boot's environment in fixtures/ has a pointer already.
      const had = kind === 'fw-env';
      const first = had ? 8 : 1;
      if (!had) {
        const { code, out } = await verb('pointer', 'verify', '--store', store);
        expect({ code, out }).toEqual({
          code: 3,
          out: 'no boot pointer: slot 0 is empty; slot 1 is empty; `agent pointer set` writes one\n',
        });
      }
      const one = await verb('pointer', 'set', '--store', store, ...POINTER);
      expect(one.code).toBe(0);
      expect(one.out).toMatch(had ? /^old:\n {2}sequence {4}7\n {2}image {7}alpha\n/ : /^old: none\n/);
      expect(one.out).toMatch(
        new RegExp(
          `new, written and verified:\n {2}sequence {4}${first}\n {2}image {7}alpha\n {2}disks {7}n1-root\n`,
        ),
      );

      const two = JSON.parse(
        (await verb('pointer', 'set', '--store', store, ...POINTER, '--image', 'beta', '--json')).out,
      );
      expect(two).toMatchObject({
        old: { sequence: first, image: 'alpha' },
        new: { sequence: first + 1, image: 'beta' },
      });

      const shown = await verb('pointer', 'show', '--store', store);
      expect(shown.out).toMatch(/slot [01], in force: \n {2}sequence {4}\d\n {2}image {7}beta\n/);
      const history = await verb('pointer', 'history', '--store', store);
      expect(history.out).toMatch(
        new RegExp(
          `^ {9}${first + 1} {2}slot [01], in force: image beta, deployment \\w{16}, deploy, 3 attempts\n {9}${first} {2}slot [01]: image alpha, `,
        ),
      );
      expect(JSON.parse((await verb('pointer', 'history', '--store', store, '--json')).out)).toMatchObject([
        { inForce: true, sequence: first + 1, kind: 'valid', pointer: two.new, fault: '' },
        { inForce: false, sequence: first, kind: 'valid', pointer: two.old },
      ]);
      const verified = await verb('pointer', 'verify', '--store', store, '--json');
      expect(verified.code).toBe(0);
      expect(JSON.parse(verified.out)).toMatchObject({ ok: true, pointer: two.new });
    });
  },
);

describe.each(RUNTIMES)('%s', (runtime) => {
  const agent = (...args: string[]) => runAgent(runtime, ...args);
  const set = (store: string, ...more: string[]) =>
    agent('pointer', 'set', '--store', store, ...POINTER, ...more);

  it.each([
    ['nothing there', 1, 'uboot-env:DIR/none', /^agent: .*(ENOENT.*none|none: No such file or directory)/],
    ['no efivarfs', 1, 'efivars:DIR/none', /^agent: no UEFI variables at .*mount -t efivarfs/],
    ['no chip', 1, 'eeprom:DIR/text', /^agent: .*text: 5 bytes is not the size of a 24Cxx chip/],
    ['no kind', 2, 'spi:DIR/text', /expected KIND:PATH, KIND one of uboot-env, /],
    ['no path', 2, 'eeprom:', /expected KIND:PATH, KIND one of uboot-env, /],
    [
      'not an EEPROM',
      4,
      'uboot-env:DIR/text',
      /^agent: .*text was not written: it has 5 bytes, an EEPROM 16384/,
    ],
    [
      'wrong CRCs',
      4,
      'fw-env:DIR/config',
      /^agent: fw-env:.*config: boot pointer not written: no copy .* restore it first/,
    ],
  ])('%s: %i', async (_name, code, store, words) => {
    file('text', Buffer.from('text\n'));
    const env = file('env', Buffer.alloc(0x400, 0x5a));
    file('config', Buffer.from(`${env} 0 400\n`));
    const ended = await set(store.replace('DIR', dir));
    expect(ended.err).toMatch(words);
    expect(ended).toMatchObject({ code, out: '' });
  });

  it('a pointer that cannot be one is refused', async () => {
    const store = `uboot-env:${FRESH['uboot-env']()}`;
    const ended = await set(store, '--image', '../x');
    expect(ended).toMatchObject({ code: 4, out: '' });
    expect(ended.err).toBe(`agent: ${store}: boot pointer not written: image "../x" is not a name\n`);
  });

  it('a pointer that only the spare copy has: verify says so, set restores it', async () => {
    const env = join(dir, 'env');
    copyFileSync(projectFile('fixtures/pointer/mkenvimage-single.bin'), env);
    const store = `fw-env:${file('fw_env.config', Buffer.from(`${env} 0 400\n`))}`;
    await set(store);
    writeFileSync(env, Buffer.alloc(0x400, 0xff));
    const { code, out } = await agent('pointer', 'verify', '--store', store);
    expect(code).toBe(3);
    expect(out).toMatch(
      /^only the spare copy has the boot pointer, and the firmware does not read it: slot 0 is empty; /,
    );
    expect((await set(store)).code).toBe(0);
    expect((await agent('pointer', 'verify', '--store', store)).code).toBe(0);
    expect(readFileSync(env, 'latin1')).toContain('ethaddr=52:54:00:77:00:11');
  });

  it('verify recommends what set would do', async () => {
    const path = FRESH['uboot-env']();
    const store = `uboot-env:${path}`;
    verb('pointer', 'set', '--store', store, ...POINTER);
    damage(path, 100);
    const damaged = 'it holds damaged boot pointers of layout uboot-env, and no sound one';
    expect(verb('pointer', 'verify', '--store', store).out).toContain(
      `${damaged}: if it is the EEPROM, \`agent pointer set --force\` writes one`,
    );
    expect((await set(store)).err).toContain(`was not written: ${damaged}`);
    expect(verb('pointer', 'set', '--store', store, ...POINTER, '--force').code).toBe(0);

    const chip = FRESH.eeprom();
    verb('pointer', 'set', '--store', `eeprom:${chip}`, ...POINTER);
    damage(chip, 20);
    expect(verb('pointer', 'verify', '--store', `eeprom:${chip}`).out).toContain(
      'it holds damaged boot pointers',
    );
    file('eeprom', Buffer.alloc(4096, 0x5a));
    expect(verb('pointer', 'verify', '--store', `eeprom:${chip}`).out).toContain('it holds something else');

    const env = file('env', Buffer.alloc(0x400, 0xff));
    const config = file('config', Buffer.from(`${env} 0 400\n`));
    expect(verb('pointer', 'verify', '--store', `fw-env:${config}`).out).toMatch(
      /`agent pointer set` would refuse: there is no environment yet, .*\(saveenv\)\n$/,
    );
  });

  it("verify reads the iPXE stub's own text too", () => {
    const path = FRESH['ipxe-script']();
    const store = `ipxe-script:${path}`;
    for (const image of ['alpha', 'beta'])
      verb('pointer', 'set', '--store', store, ...POINTER, '--image', image);
    const sound = readFileSync(path);
    expect(verb('pointer', 'verify', '--store', store).code).toBe(0);
    for (const [at, words] of [
      [0x010, 'the loader, at 0x0000, is not'],
      [0x205, 'the deciding sector, at 0x0200, is not'],
      [0x405, 'the jump to the slot, at 0x0400, is not'],
      [0x1900, 'the boot code (:boot), at 0x1800, is not the text of the iPXE stub: '],
      [0x20c, 'the deciding digit is damaged (byte 0x'],
    ] as const) {
      writeFileSync(path, sound);
      damage(path, at);
      const { code, out } = verb('pointer', 'verify', '--store', store);
      expect([code, out.split('\n').length]).toEqual([3, 2]);
      expect(out).toContain(words);
    }
    verb('pointer', 'set', '--store', store, ...POINTER);
    expect(verb('pointer', 'verify', '--store', store).code).toBe(0);
    writeFileSync(path, Buffer.from(sound).fill('x', 0x20c, 0x20d));
    expect(verb('pointer', 'verify', '--store', store).out).toBe(
      'no boot pointer: slot 0 holds image alpha, sequence 1; slot 1 holds image beta, sequence 2; `agent pointer set` writes one\n',
    );
  });

  it.each([0x00, 0xff])(
    'a chip of bytes %i alone has empty slots, and no stub that would obey them',
    (byte) => {
      const erased = Buffer.alloc(DEVICE_SIZE, byte);
      const store = `ipxe-script:${file('disk', erased)}`;
      expect(verb('pointer', 'show', '--store', store).out).toBe('slot 0: empty\nslot 1: empty\n');
      const { code, err } = verb('pointer', 'set', '--store', store, ...POINTER);
      expect([code, err]).toEqual([
        4,
        expect.stringContaining('was not written: the loader, at 0x0000, is not'),
      ]);
      expect(readFileSync(join(dir, 'disk'))).toEqual(erased);
    },
  );

  it('the deciding digit does not matter where both slots are empty', () => {
    const path = FRESH['ipxe-script']();
    damage(path, 0x20c);
    const store = `ipxe-script:${path}`;
    expect(verb('pointer', 'verify', '--store', store).out).toBe(
      'no boot pointer: slot 0 is empty; slot 1 is empty; `agent pointer set` writes one\n',
    );
    expect(verb('pointer', 'set', '--store', store, ...POINTER).code).toBe(0);
    expect(verb('pointer', 'verify', '--store', store).code).toBe(0);
  });

  it("set warns where U-Boot's environment has one copy", () => {
    const env = join(dir, 'env');
    copyFileSync(projectFile('fixtures/pointer/mkenvimage-single.bin'), env);
    const store = `fw-env:${file('fw_env.config', Buffer.from(`${env} 0 400\n`))}`;
    const words = 'U-Boot boots its built-in defaults where the power goes in the middle of a write';
    expect(verb('pointer', 'set', '--store', store, ...POINTER).out).toMatch(/^warning: with one copy/);
    const twice = `fw-env:${FRESH['fw-env']()}`;
    expect(verb('pointer', 'set', '--store', twice, ...POINTER).out).not.toContain('warning');
    const help = verb('pointer', 'set', '--help').out.replaceAll('\n', ' ');
    expect(help).toContain(words);
  });

  it('help lists stores, examples and codes', async () => {
    for (const name of ['show', 'set', 'verify', 'history']) {
      const { code, out } = await agent('pointer', name, '--help');
      expect(code).toBe(0);
      for (const kind of Object.keys(STORE_KINDS)) expect(out).toContain(`  ${kind}:PATH`);
      expect(out).toMatch(/Examples:\n {2}agent pointer/);
    }
    expect((await agent('--help')).out).toMatch(/Exit codes:\n {2}0 {2}done\n/);
  });

  it('a digest beside a Raspberry Pi image is said to fit no longer', async () => {
    const store = `rpi-eeprom:${FRESH['rpi-eeprom']()}`;
    const digest = file('pieeprom.sig', Buffer.from('00\n'));
    expect((await set(store)).out).toContain(
      `${digest} no longer fits the image: make it again with rpi-eeprom-digest`,
    );
    expect(JSON.parse((await set(store, '--json')).out)).toMatchObject({ staleDigest: digest });
  });

  it('nothing that a store or the firmware holds steers the terminal', async () => {
    // 9B is CSI: as U+009B it begins a command to the terminal.
    const chip = new Uint8Array(256);
    chip.set([0x9b, 0x32, 0x4a, 0x1b]);
    const store = `eeprom:${file('eeprom', chip)}`;
    const efivars = FRESH.efivars();
    const name = Buffer.from('A\u001b[2J\u009b2J\nBoot0009 B\0', 'utf16le');
    writeFileSync(
      join(efivars, `Boot0001-${GLOBAL_GUID}`),
      encodeVariable(Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0]), name])),
    );
    const control = /[^\P{Cc}\n]/u;
    for (const json of [[], ['--json']]) {
      const shown = await agent('pointer', 'show', '--store', store, ...json);
      expect(shown.code).toBe(0);
      expect(shown.out).toContain('torn');
      const efi = await agent('efi', 'show', '--efivars', efivars, ...json);
      expect(efi.code).toBe(0);
      for (const { out } of [shown, efi]) expect(out).not.toMatch(control);
      if (json.length === 0) expect(efi.out).toContain('\nBoot0001 A?[2J?2J?Boot0009 B\n');
      else expect(JSON.parse(efi.out).options[0].description).toBe('A\u001b[2J\u009b2J\nBoot0009 B');
    }
    const missing = await agent('pointer', 'show', '--store', 'eeprom:/none\u009b2J');
    expect(missing.err).toContain('/none?2J');
  });

  it('boot options of UEFI firmware', async () => {
    const efivars = FRESH.efivars();
    const variable = (name: string, data: Uint8Array) =>
      writeFileSync(join(efivars, `${name}-${GLOBAL_GUID}`), encodeVariable(data));
    for (const number of [1, 2]) variable(`Boot000${number}`, Buffer.from([1, 0, 0, 0, 0, 0, 0x41, 0, 0, 0]));
    variable('BootOrder', encodeBootNumbers([1, 2]));
    const efi = (...args: string[]) => agent('efi', ...args, '--efivars', efivars);
    expect((await efi('show')).out).toBe(
      'current none\nnext    none\norder   Boot0001, Boot0002\nBoot0001 A\nBoot0002 A\n',
    );
    expect((await efi('next', '0002')).out).toMatch(/^current none\nnext {4}Boot0002\n/);
    expect(JSON.parse((await efi('order', '0002,0001', '--json')).out)).toMatchObject({
      next: 2,
      order: [2, 1],
    });
    const asked: [string, string, string][] = [
      ['next', '0009', 'BootNext not written: there is no Boot0009'],
      ['order', '0001,0001', 'BootOrder not written: Boot0001 is named twice'],
    ];
    for (const [name, options, why] of asked)
      expect(await efi(name, options)).toMatchObject({ code: 4, err: expect.stringContaining(why) });
    expect(await efi('next', '9')).toMatchObject({
      code: 2,
      err: expect.stringContaining('four hexadecimal digits'),
    });
  });
});

it('boot options that read back differently are told as not verified', () => {
  const efivars = FRESH.efivars();
  writeFileSync(
    join(efivars, `Boot0001-${GLOBAL_GUID}`),
    encodeVariable(Buffer.from([1, 0, 0, 0, 0, 0, 0x41, 0, 0, 0])),
  );
  const host = new NodeHost();
  host.writeVariable = () => {};
  expect(verbOn(host, 'efi', 'next', '0001', '--efivars', efivars)).toEqual({
    ...{ code: 5, out: '' },
    err: 'agent: BootNext not verified: it reads back differently\n',
  });
});
