/** Overlays on files in memory, whose process is killed and whose power is cut. */
import { DiskError } from '../../imager/disks/disk.ts';
import { BLOCK_SIZE } from '../../imager/disks/format.ts';
import { Overlay } from '../../imager/disks/overlay.ts';
import { emptyOverlay } from '../../imager/disks/overlay-file.ts';
import { OverlayStore } from '../../imager/disks/overlay-store.ts';
import { ZeroMap } from '../../imager/disks/zero-map.ts';
import { VolatileFile } from './volatile-file.ts';

export const BLOCKS = 20;
let salts = 0;
export const salt = (): string => (++salts).toString(16).padStart(16, '0');
export const base = {
  file: new VolatileFile(new Uint8Array(BLOCKS * BLOCK_SIZE)),
  size: BLOCKS * BLOCK_SIZE,
  zeros: new ZeroMap(BLOCKS * BLOCK_SIZE),
  intact: () => {},
};

export function fresh(blocks = BLOCKS): VolatileFile {
  return new VolatileFile(
    emptyOverlay({ name: 'b', size: base.size, digest: '00'.repeat(32) }, blocks * BLOCK_SIZE, salt()),
  );
}

export function open(file: VolatileFile): Overlay {
  return new Overlay('disk', OverlayStore.open(file, { name: 'disk', salt, warn: () => {} }), base);
}

export async function opened(file: VolatileFile): Promise<Overlay> {
  const disk = open(file);
  await disk.store.settled();
  return disk;
}

export const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
export const write = (disk: Overlay, block: number, fill: number): Promise<void> =>
  disk.write(new Uint8Array(BLOCK_SIZE).fill(fill), block * BLOCK_SIZE);

export async function byteOf(disk: Overlay, block: number): Promise<number> {
  const bytes = new Uint8Array(BLOCK_SIZE);
  await disk.read(bytes, block * BLOCK_SIZE);
  return bytes[0]!;
}

/** The process was killed: all it wrote is there. */
export const killed = (file: VolatileFile): VolatileFile => new VolatileFile(file.content());
/** Power was cut: what was not synced is gone. */
export const unpowered = (file: VolatileFile): VolatileFile => new VolatileFile(file.stored());

/** Has asynchronous writes, those of checkpoints, fail for lack of space while `when` says so. */
export function failing(file: VolatileFile, when: () => boolean): void {
  const write = file.write.bind(file);
  file.write = async (source, offset) => {
    if (when()) throw new DiskError('ENOSPC', 'no space left');
    return write(source, offset);
  };
}
