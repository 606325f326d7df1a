/** Small bootloader images, put together section by section as rpi-image.ts describes them. */

const SECTION = 0x55aaf00f;
const FILE = 0x55aaf11f;
const PADDING = 0x55aafeef;

export type Part = { code: number } | { padding: number } | { file: string; content: string | Uint8Array };

/** What a new image has: code, padding up to a sector, key and signature (unused), the configuration at the end. */
export const USUAL: Part[] = [
  { code: 72016 },
  { padding: 4096 - ((8 + 72016 + 8) % 4096) },
  { file: 'pubkey.bin', content: new Uint8Array(512).fill(0xff) },
  { padding: 224 },
  { file: 'bootconf.sig', content: new Uint8Array(1024).fill(0xff) },
  { padding: 480 },
  { file: 'bootconf.txt', content: '[all]\nBOOT_UART=1\nBOOT_ORDER=0xf461\n' },
];

export function rpiImage(parts: readonly Part[] = USUAL, size = 512 * 1024): Uint8Array {
  const image = Buffer.alloc(size, 0xff);
  let at = 0;
  for (const part of parts) {
    const body = bodyOf(part);
    image.writeUInt32BE('code' in part ? SECTION : 'padding' in part ? PADDING : FILE, at);
    image.writeUInt32BE(body.length, at + 4);
    image.set(body, at + 8);
    at = (at + 8 + body.length + 7) & ~7;
  }
  return new Uint8Array(image);
}

function bodyOf(part: Part): Uint8Array {
  if ('code' in part) return new Uint8Array(part.code).fill(0xc0);
  if ('padding' in part) return new Uint8Array(part.padding).fill(0xff);
  return Buffer.concat([Buffer.from(part.file.padEnd(12, '\0')), Buffer.alloc(4), Buffer.from(part.content)]);
}
