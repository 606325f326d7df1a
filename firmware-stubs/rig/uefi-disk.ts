/** The disk that UEFI firmware starts a program from: a FAT file system, as an EFI system partition has. */
import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** A 1.44 MB floppy's: the smallest file system that mformat knows by a name, and firmware by its looks. */
const FORMAT = { size: 1_474_560, name: '1440' };
/** What firmware starts from a disk it knows nothing of (UEFI 2.10 section 3.5.1.1). */
const REMOVABLE = '::/EFI/BOOT/BOOTX64.EFI';

const run = promisify(execFile);

/** Makes the file `path`: a disk with `program` (a file) for x86-64 machines. Needs mtools. */
export async function makeUefiDisk(path: string, program: string): Promise<void> {
  await rm(path, { force: true });
  await writeFile(path, new Uint8Array(FORMAT.size));
  await run('mformat', ['-i', path, '-f', FORMAT.name, '::']);
  await run('mmd', ['-i', path, '::/EFI', '::/EFI/BOOT']);
  await run('mcopy', ['-i', path, program, REMOVABLE]);
}
