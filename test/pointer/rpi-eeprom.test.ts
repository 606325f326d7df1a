/** Raspberry Pi bootloader images: sections as published, the pointer in the configuration, files that appear whole. */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { openPointerStore } from '../../agent/linux/eeprom.ts';
import { NodeHost } from '../../agent/node/host.ts';
import { rpiEeprom } from '../../agent/protocol/pointer/rpi-eeprom.ts';
import { MAX_FILE, rpiFile, rpiFileUpdate } from '../../agent/protocol/pointer/rpi-image.ts';
import { PointerRefusedError, PointerStore } from '../../agent/protocol/pointer/store.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { TornEeprom } from '../fakes/torn-eeprom.ts';
import { type Part, rpiImage, USUAL } from './rpi-image.ts';
import { FIELDS } from './stores.ts';

const KIB = 1024;
const CONF = '[all]\nBOOT_UART=1\nBOOT_ORDER=0xf461\n';
const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();
const config = (image: Uint8Array) => text(rpiFile(image, 'bootconf.txt'));
const bytesOf = (words: string) => new Uint8Array(Buffer.from(words));

/** Images of different make, and what `bootconf.txt` has around it. */
const IMAGES: Record<string, () => Uint8Array> = {
  'last section, 512 KiB': () => rpiImage(),
  'last section, 2 MiB': () => rpiImage(USUAL, 2048 * KIB),
  'padding behind it': () => rpiImage([...USUAL, { padding: 3000 }]),
  'a file behind it': () => rpiImage([...USUAL, { padding: 4024 }, { file: 'late.bin', content: 'late' }]),
  'two boot partitions': () => rpiImage(twoPartitions(), 2048 * KIB),
};

function twoPartitions(): Part[] {
  const before: Part[] = [
    { code: 25984 },
    { file: 'updatetime', content: new Uint8Array(8) },
    { padding: 64 * KIB - 26032 - 8 },
    { file: 'bootsys', content: new Uint8Array(9000) },
    { file: 'bootconf.sig', content: new Uint8Array(1024).fill(0xff) },
    { file: 'bootconf.txt', content: CONF },
  ];
  const used = 64 * KIB + 9024 + 1048 + 64;
  return [...before, { padding: (64 + 988) * KIB - used - 8 }, { padding: 900 * KIB }];
}

const TEXTS: Record<string, string> = {
  shorter: '[all]\n',
  'of a length that needs padding': `${CONF}TFTP_IP=10.77.0.1\n`,
  long: `${CONF}# ${'x'.repeat(2000)}\n`,
  'eight bytes less than a sector': `${CONF}${'#'.repeat(4064 - CONF.length)}`,
  'the longest': `${CONF}${'#'.repeat(MAX_FILE - CONF.length)}`,
};

describe('rpi-eeprom-config', () => {
  const golden = JSON.parse(readFileSync(projectFile('fixtures/pointer/rpi-eeprom-config.json'), 'utf8'));

  test.each(Object.keys(IMAGES))('%s: the bytes it makes', (name) => {
    for (const [which, words] of Object.entries(TEXTS)) {
      const image = IMAGES[name]!();
      expect(config(image)).toBe(CONF);
      const expected = golden[name][which];
      if (expected === null) {
        expect(() => rpiFileUpdate(image, 'bootconf.txt', bytesOf(words)), which).toThrow(
          /are free up to the next section/,
        );
        continue;
      }
      const { offset, bytes } = rpiFileUpdate(image, 'bootconf.txt', bytesOf(words));
      image.set(bytes, offset);
      expect(createHash('sha256').update(image).digest('hex'), which).toBe(expected);
      expect(config(image)).toBe(words);
    }
  });
});

describe('the boot pointer in the configuration', () => {
  const store = (image: Uint8Array) => {
    const eeprom = new TornEeprom(image);
    return { eeprom, store: new PointerStore(rpiEeprom(image.length), eeprom) };
  };

  test("golden text: two slots, the operator's lines before and after", () => {
    const { eeprom, store: pointers } = store(rpiImage());
    expect(pointers.read()).toEqual({
      slots: [{ kind: 'empty' }, { kind: 'empty' }],
      active: undefined,
      pointer: undefined,
    });
    pointers.write(FIELDS);
    pointers.write({ ...FIELDS, image: 'beta', disks: [], imagers: ['10.77.0.2'], deployment: 'd2' });
    const expected = [
      '[all]',
      'BOOT_UART=1',
      'BOOT_ORDER=0xf461',
      '# bootwright begin',
      '[none]',
      '# slot 0 crc32 ea0b5f56',
      ...[
        'bw_sequence=1',
        'bw_image=alpha',
        'bw_disks=root,data',
        'bw_imagers=10.77.0.1,10.77.0.2',
        'bw_cluster=one',
      ],
      ...['bw_deployment=d1', 'bw_phase=deploy', 'bw_attempts=3', 'bw_fallback='],
      '# slot 1 crc32 3a488d61',
      ...['bw_sequence=2', 'bw_image=beta', 'bw_disks=', 'bw_imagers=10.77.0.2', 'bw_cluster=one'],
      ...['bw_deployment=d2', 'bw_phase=deploy', 'bw_attempts=3', 'bw_fallback='],
      '[all]',
      'TFTP_IP=10.77.0.2',
      '# bootwright end',
      '',
    ];
    expect(config(eeprom.bytes).split('\n')).toEqual(expected);

    // Somebody edits it by hand, as rpi-eeprom-config --edit lets him.
    const edited = config(eeprom.bytes).replace('BOOT_UART=1', 'BOOT_UART=0').concat('HDMI_DELAY=0\n');
    const { offset, bytes } = rpiFileUpdate(eeprom.bytes, 'bootconf.txt', bytesOf(edited));
    eeprom.bytes.set(bytes, offset);
    pointers.write({ ...FIELDS, image: 'gamma' });
    const after = config(eeprom.bytes);
    expect(after).toMatch(/^\[all\]\nBOOT_UART=0\nBOOT_ORDER=0xf461\n# bootwright begin\n/);
    expect(after).toMatch(/TFTP_IP=10\.77\.0\.1\n# bootwright end\nHDMI_DELAY=0\n$/);
    expect(pointers.read()).toMatchObject({
      active: 0,
      slots: [{ kind: 'valid' }, { kind: 'valid' }],
      pointer: { sequence: 3, image: 'gamma' },
    });
  });

  it('a changed letter is found', () => {
    const { eeprom, store: pointers } = store(rpiImage());
    pointers.write(FIELDS);
    const at = Buffer.from(eeprom.bytes.buffer).indexOf('bw_image=alpha');
    eeprom.bytes[at + 10]! ^= 1;
    expect(pointers.read()).toMatchObject({
      active: undefined,
      slots: [{ kind: 'torn', why: expect.stringMatching(/^CRC-32 is/) }, { kind: 'empty' }],
    });
  });

  const LONG = {
    ...FIELDS,
    disks: [...'abcdefgh'].map((letter) => letter.repeat(63)),
    fallback: 'f'.repeat(63),
  };
  it.each<[string, Uint8Array, RegExp]>([
    [
      'a full configuration',
      rpiImage(withConfig('#'.repeat(3600))),
      /bootconf\.txt would have \d+ bytes, at most 4076/,
    ],
    [
      'no room before the next section',
      rpiImage([...USUAL, { file: 'late.bin', content: '' }]),
      /are free up to the next section/,
    ],
    ['a signed configuration', rpiImage(signed()), /its bootconf\.txt is signed \(bootconf\.sig\)/],
    ['no configuration', rpiImage([{ code: 100 }]), /no file bootconf\.txt in the image/],
    [
      'two of them',
      rpiImage([...USUAL, { padding: 4000 }, USUAL.at(-1)!]),
      /2 files bootconf\.txt in the image/,
    ],
    ['no image', new Uint8Array(512 * KIB).fill(0xff), /no bootloader image/],
    ['a damaged image', damaged(), /damaged image: no section begins at 0x11958/],
    ['a section beyond the end', beyond(), /damaged image: the section at 0x0 goes beyond the end/],
    [
      'our part without an end',
      rpiImage(withConfig('# bootwright begin\n[none]\n')),
      /"# bootwright begin" without an end/,
    ],
  ])('%s: refused, nothing written', (_name, image, why) => {
    const { eeprom, store: pointers } = store(image);
    expect(pointers.read().pointer).toBeUndefined();
    expect(() => pointers.write(LONG)).toThrow(PointerRefusedError);
    expect(() => pointers.write(LONG)).toThrow(why);
    expect(eeprom.written).toBe(0);
  });
});

function withConfig(content: string): Part[] {
  return [...USUAL.slice(0, -1), { file: 'bootconf.txt', content }];
}

function signed(): Part[] {
  return USUAL.map((part) =>
    'file' in part && part.file === 'bootconf.sig'
      ? { ...part, content: `${'0'.repeat(64)}\nts: 1\nrsa2048: 00\n` }
      : part,
  );
}

function damaged(): Uint8Array {
  const image = rpiImage();
  image[0x11958] = 0x12;
  return image;
}

function beyond(): Uint8Array {
  const image = rpiImage();
  new DataView(image.buffer).setUint32(4, 512 * KIB);
  return image;
}

describe('image files', () => {
  let dir: string;
  let path: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'rpi-'));
    path = join(dir, 'pieeprom.bin');
    writeFileSync(path, rpiImage());
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  /** A host whose power goes after so many bytes of a new file. */
  class CutHost extends NodeHost {
    left = Number.POSITIVE_INFINITY;
    override replaceFile(file: string, bytes: Uint8Array): void {
      if (this.left >= bytes.length) super.replaceFile(file, bytes);
      else {
        writeFileSync(`${file}.new`, bytes.subarray(0, this.left));
        throw new Error('power cut');
      }
    }
    override writeStored(): void {
      expect.fail('an image is written in place');
    }
  }

  it('a cut anywhere leaves the former image whole, and the next write comes through', () => {
    const host = new CutHost();
    const pointers = openPointerStore(host, 'rpi-eeprom', path);
    pointers.write(FIELDS);
    const before = readFileSync(path);
    // The image itself is not touched before the whole of the new one is on disk: which byte the cut is at makes no difference.
    for (const left of [0, 1, 512, 0x12000, before.length - 1]) {
      host.left = left;
      expect(() => pointers.write({ ...FIELDS, image: 'beta' })).toThrow('power cut');
      expect(readFileSync(path).equals(before)).toBe(true);
      expect(pointers.read().pointer).toMatchObject({ image: 'alpha' });
    }
    host.left = Number.POSITIVE_INFINITY;
    pointers.write({ ...FIELDS, image: 'beta' });
    expect(pointers.read().pointer).toMatchObject({ image: 'beta' });
    expect(existsSync(`${path}.new`)).toBe(false);
  });

  it('a file of another size is no image', () => {
    writeFileSync(path, 'short');
    expect(() => openPointerStore(new NodeHost(), 'rpi-eeprom', path)).toThrow(
      `${path} has 5 bytes, a bootloader image 524288 or 2097152`,
    );
  });
});
