/** What else is read around boot pointers: UEFI variables, fw_env.config, Raspberry Pi bootloader images. */
import {
  bootOptionName,
  bootOptionNumber,
  decodeBootNumbers,
  decodeBootOption,
  decodeVariable,
  EfiVariableError,
  encodeBootNumbers,
} from '../../../agent/protocol/pointer/efi-variables.ts';
import { FwEnvConfigError, parseFwEnvConfig } from '../../../agent/protocol/pointer/fw-env-config.ts';
import { rpiEeprom } from '../../../agent/protocol/pointer/rpi-eeprom.ts';
import {
  MAX_FILE,
  RpiImageError,
  rpiFile,
  rpiFileUpdate,
} from '../../../agent/protocol/pointer/rpi-image.ts';
import { promise, refusable, type Target } from '../target.ts';

const hex = (text: string) => Buffer.from(text, 'hex');

export function efiVariableTarget(): Target {
  return {
    seeds: [
      '0700000001000000040055004500460049000000' + '7fff0400',
      '070000000300010000000a00',
      '06000000000000000000',
    ].map(hex),
    tokens: ['0000', '7fff0400', 'ffff', '41000000', '07000000'].map(hex),
    maxLength: 256,
    take: (bytes) =>
      refusable(EfiVariableError, () => {
        const { data } = decodeVariable(bytes);
        if (bytes.length % 3 === 0) {
          const numbers = decodeBootNumbers(data);
          promise(Buffer.from(encodeBootNumbers(numbers)).equals(Buffer.from(data)), 'numbers come back');
          for (const number of numbers)
            promise(bootOptionNumber(bootOptionName(number)) === number, 'a name has its number');
          return;
        }
        const { description } = decodeBootOption(data);
        promise(
          !description.includes('\0') && 2 * description.length < data.length,
          'a description is of the option',
        );
      }),
  };
}

export function fwEnvConfigTarget(): Target {
  return {
    seeds: ['/dev/mtd1 0x0 0x4000 0x4000\n', '# a\n/dev/a 0 4000\n/dev/a 0x8000 4000 1000 8\n'].map((text) =>
      Buffer.from(text),
    ),
    tokens: ['0x', '-', '\n', ' ', '/dev/b', 'ffffffffffffffffff', '07', '#', '\t'].map((text) =>
      Buffer.from(text),
    ),
    maxLength: 200,
    take: (bytes) =>
      refusable(FwEnvConfigError, () => {
        for (const { device, offset, size, sectorSize } of parseFwEnvConfig(Buffer.from(bytes).toString())) {
          promise(
            device !== '' && Number.isSafeInteger(offset) && offset >= 0,
            `device ${device}, offset ${offset}`,
          );
          promise(size >= 16 && size <= 0x1000000, `size ${size}`);
          promise(sectorSize === undefined || offset % sectorSize === 0, `sector size ${sectorSize}`);
        }
      }),
  };
}

const IMAGE_SIZE = 512 * 1024;
const SECTIONS_AT = 0x72000;

/** A packet is the sections behind the code of an image; they end where the packet does. */
export function rpiImageTarget(): Target {
  const image = new Uint8Array(IMAGE_SIZE).fill(0xff);
  const view = new DataView(image.buffer);
  view.setUint32(0, 0x55aaf00f);
  view.setUint32(4, SECTIONS_AT - 8);
  const layout = rpiEeprom(IMAGE_SIZE);
  const file = (name: string, content: string) => {
    const bytes = Buffer.alloc(24 + content.length);
    bytes.writeUInt32BE(0x55aaf11f, 0);
    bytes.writeUInt32BE(16 + content.length, 4);
    bytes.write(`${name}${content}`.slice(0, name.length), 8);
    bytes.write(content, 24);
    return bytes;
  };
  const ours =
    '# bootwright begin\n[none]\n# slot 0 crc32 12345678\nbw_sequence=1\nbw_image=a\n[all]\n# bootwright end\n';
  let used = 0;
  return {
    seeds: [
      file('bootconf.txt', '[all]\nA=1\n     '),
      Buffer.concat([
        file('bootconf.sig', '\xff'.repeat(8)),
        file('bootconf.txt', ours.padEnd(160)),
        hex('55aafeef00000010'),
      ]),
    ],
    tokens: [
      ...['55aaf11f', '55aafeef', '55aaf44f', '00000000', 'ffffffff', '00000010', '7fffffff'].map(hex),
      ...[
        'bootconf.txt',
        'bootconf.sig',
        '# bootwright begin\n',
        '\n# bootwright end\n',
        '# slot 1 crc32 ',
      ].map((text) => Buffer.from(text)),
    ],
    maxLength: 1024,
    take(bytes) {
      image.fill(0xff, SECTIONS_AT, SECTIONS_AT + used);
      image.set(bytes, SECTIONS_AT);
      used = bytes.length;
      const slots = layout.read(image);
      promise(slots.length === 2, 'slots of anything');
      return refusable(RpiImageError, () => {
        const found = rpiFile(image, 'bootconf.txt');
        const content = Uint8Array.of(...bytes.subarray(0, 40));
        const { offset, bytes: update } = rpiFileUpdate(image, 'bootconf.txt', content);
        promise(found !== undefined && content.length <= MAX_FILE, 'what is updated was there');
        promise(
          offset >= SECTIONS_AT && offset + update.length <= IMAGE_SIZE - 4096,
          'the last sector is left alone',
        );
      });
    },
  };
}
