/**
 * A tagged image that boots Linux: kernel, initrd and command line. Pure. Below 1 MiB, all of it clear of the PXE and
 * BIOS areas and of the loader (firmware-stubs/nbi):
 *
 *     0x10000   boot sector and setup code of the kernel, its heap and stack
 *     0x1e000   command line, 2048 bytes; the first stage appends DHCP option 129
 *     0x1f000   first stage
 *     0x1fe00   header of the image
 *
 * Above: the protected-mode kernel at 1 MiB, as its boot protocol wants it, and the initrd behind all memory that the
 * kernel needs to unpack itself.
 */
import { CAN_USE_HEAP, decodeBzImage, KernelError, SETUP } from '../bzimage.ts';
import { encodeHeader, type NbiSegment } from './header.ts';
import { FIRST_STAGE } from './programs.ts';

export interface LinuxParts {
  /** bzImage. */
  kernel: Uint8Array;
  initrd: Uint8Array;
  /** Command line: ASCII. */
  args: string;
}

const SETUP_AT = 0x10000;
/** Setup code, heap and stack; first.S has the same end as the stack's. */
const SETUP_BYTES = 0xe000;
const COMMAND_LINE_AT = 0x1e000;
const COMMAND_LINE_BYTES = 2048;
/** What a blank, DHCP option 129 and a NUL may add to the command line. */
const OPTION_BYTES = 1 + 255 + 1;
const FIRST_STAGE_SEGMENT = 0x1f00;
const HEADER_OFFSET = 0xe00;
const KERNEL_AT = 0x100000;
const PAGE = 4096;

/** Vendor data of header and segments, and what the segments' tags mean where it is there. */
export const VENDOR = 'bootwright\0\0';
export const TAGS: readonly string[] = ['setup', 'command line', 'first stage', 'kernel', 'initrd'];

/** The whole file. Throws KernelError where the kernel is none that can be started so, or the arguments are too long. */
export function linuxNbi({ kernel, initrd, args }: LinuxParts): Uint8Array {
  const image = decodeBzImage(kernel);
  if (image.setupBytes > SETUP_BYTES - PAGE || image.setupBytes >= kernel.length)
    throw new KernelError(`setup code of ${image.setupBytes} bytes does not fit`);
  const commandLine = Buffer.from(`${args}\0`, 'latin1');
  const room = Math.min(COMMAND_LINE_BYTES, image.commandLineBytes + 1) - OPTION_BYTES;
  if (commandLine.length > room)
    throw new KernelError(
      `kernel arguments of ${args.length} characters, at most ${room - 1} in a tagged image`,
    );
  const body = kernel.subarray(image.setupBytes);
  const unpacked = Math.max(image.preferredAddress + image.initBytes, KERNEL_AT + body.length);
  const initrdAt = Math.ceil(unpacked / PAGE) * PAGE;
  if (initrdAt + initrd.length - 1 > image.initrdMax)
    throw new KernelError(
      `the initrd would end above ${image.initrdMax}, the highest address the kernel takes`,
    );

  const setup = Uint8Array.from(kernel.subarray(0, image.setupBytes));
  const view = new DataView(setup.buffer, setup.byteOffset, setup.length);
  setup[SETUP.typeOfLoader] = 0xff;
  setup[SETUP.loadFlags]! |= CAN_USE_HEAP;
  view.setUint16(SETUP.heapEnd, SETUP_BYTES - 0x200, true);
  view.setUint32(SETUP.ramdiskImage, initrdAt, true);
  view.setUint32(SETUP.ramdiskSize, initrd.length, true);
  view.setUint32(SETUP.commandLine, COMMAND_LINE_AT, true);

  const parts: { bytes: Uint8Array; at: number; memoryBytes?: number }[] = [
    { bytes: setup, at: SETUP_AT, memoryBytes: SETUP_BYTES },
    { bytes: commandLine, at: COMMAND_LINE_AT, memoryBytes: COMMAND_LINE_BYTES },
    { bytes: FIRST_STAGE, at: FIRST_STAGE_SEGMENT * 16 },
    { bytes: body, at: KERNEL_AT },
    { bytes: initrd, at: initrdAt },
  ];
  const segments = parts.map(
    ({ bytes, at, memoryBytes = bytes.length }, tag): NbiSegment => ({
      tag,
      placement: 'absolute',
      address: at,
      fileBytes: bytes.length,
      memoryBytes,
      vendor: new Uint8Array(),
    }),
  );
  const header = encodeHeader({
    location: { segment: FIRST_STAGE_SEGMENT, offset: HEADER_OFFSET },
    entry: { segment: FIRST_STAGE_SEGMENT, offset: 0 },
    returns: false,
    vendor: Buffer.from(VENDOR, 'latin1'),
    segments,
  });
  return Buffer.concat([header, ...parts.map(({ bytes }) => bytes)]);
}
