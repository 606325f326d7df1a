/** Disks of a catalogue, as whoever is let in has them. */
import type { Disk, DiskCatalog, DiskClient } from '../../imager/disks/disk.ts';

/** Throws where the client is refused. */
export async function attached(
  disks: Pick<DiskCatalog, 'open'>,
  name: string,
  client: DiskClient = { address: '10.0.0.1' },
): Promise<Disk> {
  const opened = await disks.open(name, client);
  if ('refused' in opened) throw new Error(opened.why);
  return opened;
}

export async function contentOf(disk: Disk): Promise<Buffer> {
  const bytes = Buffer.alloc(disk.size);
  for (let at = 0; at < bytes.length; at += 1 << 20) await disk.read(bytes.subarray(at, at + (1 << 20)), at);
  return bytes;
}
