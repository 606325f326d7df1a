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
  /** A bzImage: its first LOOK_BYTES (look.ts), which have all of its setup code, and its length. */
  kernel: { head: Uint8Array; bytes: number };
  initrd: { bytes: number };
  /** Command line: ASCII. */
  args: string;
}

export interface LinuxNbi {
  /** The file up to the protected-mode kernel. Behind it go the kernel from its byte `kernelFrom` on, and the initrd. */
  head: Uint8Array;
  kernelFrom: number;
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

/** Throws KernelError where the kernel is none that can be started so, or the arguments do not reach it as written. */
export function linuxNbi({ kernel, initrd, args }: LinuxParts): LinuxNbi {
  const image = decodeBzImage(kernel.head);
  if (image.setupBytes > SETUP_BYTES - PAGE || image.setupBytes >= kernel.bytes)
    throw new KernelError(`setup code of ${image.setupBytes} bytes does not fit`);
  if (/[^ -~]/.test(args)) throw new KernelError('kernel arguments have to be printable ASCII');
  const commandLine = Buffer.from(`${args}\0`, 'latin1');
  const room = Math.min(COMMAND_LINE_BYTES, image.commandLineBytes + 1) - OPTION_BYTES;
  if (commandLine.length > room)
    throw new KernelError(
      `kernel arguments of ${args.length} characters, at most ${room - 1} in a tagged image`,
    );
  const bodyBytes = kernel.bytes - image.setupBytes;
  const unpacked = Math.max(image.preferredAddress + image.initBytes, KERNEL_AT + bodyBytes);
  const initrdAt = Math.ceil(unpacked / PAGE) * PAGE;
  if (initrdAt + initrd.bytes - 1 > image.initrdMax)
    throw new KernelError(
      `the initrd would end above ${image.initrdMax}, the highest address the kernel takes`,
    );

  const setup = Uint8Array.from(kernel.head.subarray(0, image.setupBytes));
  const view = new DataView(setup.buffer, setup.byteOffset, setup.length);
  setup[SETUP.typeOfLoader] = 0xff;
  setup[SETUP.loadFlags]! |= CAN_USE_HEAP;
  view.setUint16(SETUP.heapEnd, SETUP_BYTES - 0x200, true);
  view.setUint32(SETUP.ramdiskImage, initrdAt, true);
  view.setUint32(SETUP.ramdiskSize, initrd.bytes, true);
  view.setUint32(SETUP.commandLine, COMMAND_LINE_AT, true);

  const parts: { bytes: number; at: number; memoryBytes?: number }[] = [
    { bytes: setup.length, at: SETUP_AT, memoryBytes: SETUP_BYTES },
    { bytes: commandLine.length, at: COMMAND_LINE_AT, memoryBytes: COMMAND_LINE_BYTES },
    { bytes: FIRST_STAGE.length, at: FIRST_STAGE_SEGMENT * 16 },
    { bytes: bodyBytes, at: KERNEL_AT },
    { bytes: initrd.bytes, at: initrdAt },
  ];
  const segments = parts.map(
    ({ bytes, at, memoryBytes = bytes }, tag): NbiSegment => ({
      tag,
      placement: 'absolute',
      address: at,
      fileBytes: bytes,
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
  return {
    head: Buffer.concat([header, setup, commandLine, FIRST_STAGE]),
    kernelFrom: image.setupBytes,
  };
}
