/** Raw disks for PC BIOSes, as iPXE runs them: `sanboot` over HTTP, with INT 13h as the disk. Pure. */

/**
 * iPXE looks for an ISO 9660 volume descriptor in every disk, in its seventeenth sector of 2048 bytes, and takes none
 * that ends before. What is smaller is loaded whole to 0x7c00 and run there, with no disk behind it.
 */
const SMALLEST_DISK = 17 * 2048;
/** The largest diskette there is: 2.88 MB. */
const LARGEST_DISKETTE = 2880 * 1024;
/** One cylinder of 255 heads and 63 sectors: iPXE reads nothing of a hard disk with less. */
const SMALLEST_HARD_DISK = 255 * 63 * 512;

type RunAs = 'program' | 'diskette' | 'hard disk';

/** What a file of so many bytes is run as. Undefined: too large for a diskette, too small for a hard disk. */
function runAs(bytes: number): RunAs | undefined {
  if (bytes < SMALLEST_DISK) return 'program';
  if (bytes <= LARGEST_DISKETTE) return 'diskette';
  return bytes < SMALLEST_HARD_DISK ? undefined : 'hard disk';
}

/** Why a file of so many bytes cannot be run, in words. */
export function sizeFault(bytes: number): string | undefined {
  if (bytes % 512 !== 0) return `the boot sector file is not made of whole sectors: ${bytes} bytes`;
  if (runAs(bytes) !== undefined) return undefined;
  return (
    `a disk of ${bytes} bytes is larger than a diskette and smaller than a hard disk's first cylinder: ` +
    `append zeroes up to ${SMALLEST_HARD_DISK} bytes`
  );
}

/** The command of an iPXE script that runs a file of so many bytes. */
export function runCommand(file: string, bytes: number): string {
  switch (runAs(bytes)) {
    case 'program':
      return `chain --timeout 3000 ${file}`;
    case 'diskette':
      return `sanboot --no-describe --drive 0x00 ${file}`;
    default:
      return `sanboot --no-describe --drive 0x80 ${file}`;
  }
}
