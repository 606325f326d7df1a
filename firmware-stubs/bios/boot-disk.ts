/**
 * The boot disk of the BIOS stub: first sector, stub and iPXE, with what the first sector must know of them. Pure.
 *
 *     0x1a0  4  "BWB1"
 *     0x1a4  2  sectors of the stub, from the second sector on
 *     0x1a6  2  milliseconds to listen on the serial line
 *     0x1a8  4  first sector of iPXE
 *     0x1ac  4  bytes of iPXE
 *     0x1be 16  one active partition: the whole disk but this sector
 *
 * Numbers are little-endian.
 */
const SECTOR = 512;
const MAGIC = 'BWB1';
const SETTINGS = 0x1a0;
const PARTITION_SECTORS = 0x1ca;
/** The BIOS reads the stub in one piece, and the memory for it and its stack has 128 sectors. */
const MOST_STUB_SECTORS = 100;
/** SeaBIOS finds no first sector on a disk smaller than two cylinders of 16 x 63 sectors. */
const SMALLEST = 2 << 20;
const LONGEST_LISTENING = 65_535;
/** What the stub loads (ipxe.c). */
const MOST_IPXE_BYTES = 16 << 20;

export interface BootDiskOptions {
  /**
   * How long a technician on the serial line is waited for after power-on; 0: not at all. Default 1000, at most 65,535.
   * In the five seconds after an error one is heard in any case.
   */
  listenMilliseconds?: number;
}

/**
 * The disk's bytes, of `stub` (dist/firmware-stubs/bios/stub.bin, its first sector first) and `ipxe` (ipxe.lkrn). Throws RangeError
 * where one of them, or the time, is not what it must be.
 */
export function bootDisk(
  stub: Uint8Array,
  ipxe: Uint8Array,
  { listenMilliseconds = 1000 }: BootDiskOptions = {},
): Uint8Array {
  if (Buffer.from(stub).toString('latin1', SETTINGS, SETTINGS + MAGIC.length) !== MAGIC)
    throw new RangeError(`the stub has no "${MAGIC}" at ${SETTINGS}`);
  if (Buffer.from(ipxe).toString('latin1', 0x202, 0x206) !== 'HdrS')
    throw new RangeError('iPXE is no Linux kernel: ipxe.lkrn is needed');
  if (ipxe.length > MOST_IPXE_BYTES)
    throw new RangeError(`iPXE has ${ipxe.length} bytes, at most ${MOST_IPXE_BYTES} fit`);
  if (
    !Number.isInteger(listenMilliseconds) ||
    listenMilliseconds < 0 ||
    listenMilliseconds > LONGEST_LISTENING
  )
    throw new RangeError(
      `${listenMilliseconds} milliseconds to listen are not between 0 and ${LONGEST_LISTENING}`,
    );
  const stubSectors = sectors(stub.length) - 1;
  if (stubSectors > MOST_STUB_SECTORS)
    throw new RangeError(`the stub has ${stubSectors} sectors, at most ${MOST_STUB_SECTORS} fit`);
  const ipxeSector = 1 + stubSectors;
  const used = (ipxeSector + sectors(ipxe.length)) * SECTOR;
  const disk = Buffer.alloc(Math.max(used, SMALLEST));
  disk.set(stub);
  disk.set(ipxe, ipxeSector * SECTOR);
  disk.writeUInt16LE(stubSectors, SETTINGS + 4);
  disk.writeUInt16LE(listenMilliseconds, SETTINGS + 6);
  disk.writeUInt32LE(ipxeSector, SETTINGS + 8);
  disk.writeUInt32LE(ipxe.length, SETTINGS + 12);
  disk.writeUInt32LE(disk.length / SECTOR - 1, PARTITION_SECTORS);
  return disk;
}

function sectors(bytes: number): number {
  return Math.ceil(bytes / SECTOR);
}
