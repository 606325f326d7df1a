/** Tagged network boot images: header, layout, and the kernel and program heads the boot table looks at. */
import { decodeBzImage, isBzImage, KernelError } from '../../../imager/images/bzimage.ts';
import { look } from '../../../imager/images/look.ts';
import { decodeHeader, encodeHeader, NbiError, type NbiHeader } from '../../../imager/images/nbi/header.ts';
import { faults, place } from '../../../imager/images/nbi/layout.ts';
import { promise, refusable, type Target } from '../target.ts';

const none = new Uint8Array(0);
const HEADERS: NbiHeader[] = [
  {
    location: { segment: 0x9000, offset: 0 },
    entry: { segment: 0x9020, offset: 0 },
    returns: false,
    vendor: Buffer.from('bootwright\0\0'),
    segments: [
      {
        tag: 1,
        placement: 'absolute',
        address: 0x90200,
        fileBytes: 0x4000,
        memoryBytes: 0x8000,
        vendor: none,
      },
      {
        tag: 2,
        placement: 'after the segment before',
        address: 0,
        fileBytes: 512,
        memoryBytes: 512,
        vendor: Buffer.alloc(8, 7),
      },
      {
        tag: 3,
        placement: 'absolute',
        address: 0x100000,
        fileBytes: 0x700000,
        memoryBytes: 0x700000,
        vendor: none,
      },
      {
        tag: 4,
        placement: 'below the end of memory',
        address: 0x300000,
        fileBytes: 0x200000,
        memoryBytes: 0x200000,
        vendor: none,
      },
      {
        tag: 5,
        placement: 'below the segment before',
        address: 0x1000,
        fileBytes: 0x800,
        memoryBytes: 0x1000,
        vendor: none,
      },
    ],
  },
  {
    location: { segment: 0x1000, offset: 0x10 },
    entry: 0x100000,
    returns: true,
    vendor: none,
    segments: [
      { tag: 0, placement: 'absolute', address: 0x100000, fileBytes: 1, memoryBytes: 1, vendor: none },
    ],
  },
];
const FILE_BYTES = 0x1000000;
const MEMORY_END = 0x10000000;

export function nbiTarget(): Target {
  const magic = Buffer.from('3613031b', 'hex');
  return {
    seeds: HEADERS.map(encodeHeader),
    tokens: [
      magic,
      Buffer.from('55aa', 'hex'),
      Buffer.from('4d5a', 'hex'),
      Buffer.from('PE\0\0'),
      Buffer.from('HdrS'),
    ],
    maxLength: 1024,
    take(bytes) {
      // The marks of a tagged image for most: what lies between them is to be fuzzed as well.
      if (bytes.length >= 512 && bytes.length % 4 === 0) {
        bytes.set(magic);
        bytes.set([0x55, 0xaa], 510);
      }
      heads(bytes);
      return refusable(NbiError, () => {
        const header = decodeHeader(bytes);
        const { segments } = header;
        promise(segments.length > 0 && segments.length < 32, `${segments.length} segments`);
        const again = decodeHeader(encodeHeader(header));
        promise(JSON.stringify(again) === JSON.stringify(header), 'a header encoded is the header decoded');
        const found = faults(header, FILE_BYTES, MEMORY_END);
        promise(found.every((fault) => fault !== '') && found.length < 200, `${found.length} faults`);
        if (found.length > 0) return;
        for (const { start, end } of place(header, MEMORY_END))
          promise((start ?? 0) >= 0 && (end ?? 0) <= MEMORY_END, 'segments lie in memory');
      });
    },
  };
}

/** What is made of the first bytes of any file. */
function heads(bytes: Uint8Array): void {
  look(bytes);
  if (isBzImage(bytes)) refusable(KernelError, () => decodeBzImage(bytes));
}
