/**
 * U-Boot's script image: a legacy image header (U-Boot include/image.h, 64 bytes, big-endian), then a table of sizes
 * that ends with zero, then the text. `source` and distro boot take nothing else. Pure.
 */
import { crc32 } from '../../agent/protocol/crc32.ts';

const MAGIC = 0x27051956;
const HEADER = 64;
const OS_LINUX = 5;
const ARCH_INVALID = 0;
const TYPE_SCRIPT = 6;
const COMPRESSION_NONE = 0;
const NAME_BYTES = 32;

/** The image of a script. `name` is shown by U-Boot; of it the first 32 ASCII characters count. */
export function ubootScript(text: string, name: string): Uint8Array {
  const body = Buffer.from(text);
  const image = Buffer.alloc(HEADER + 8 + body.length);
  image.writeUInt32BE(body.length, HEADER);
  body.copy(image, HEADER + 8);
  image.writeUInt32BE(MAGIC, 0);
  // 8: time. Left 0, so that the same script is the same bytes.
  image.writeUInt32BE(8 + body.length, 12);
  // 16: load address, 20: entry point: none.
  image.writeUInt32BE(crc32(image.subarray(HEADER)), 24);
  image.writeUInt8(OS_LINUX, 28);
  image.writeUInt8(ARCH_INVALID, 29);
  image.writeUInt8(TYPE_SCRIPT, 30);
  image.writeUInt8(COMPRESSION_NONE, 31);
  image.write(name.slice(0, NAME_BYTES), 32, NAME_BYTES, 'latin1');
  // 4: CRC-32 of the header with this field zero.
  image.writeUInt32BE(crc32(image.subarray(0, HEADER)), 4);
  return image;
}
