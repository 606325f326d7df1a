/**
 * The victim of removal.test.ts: removes the disk n1, or the base image b, of the store in DIR, and is killed at a call of
 * the file system that changes something, before it is done. Usage: remover.ts DIR disk|base CALL.
 */
import fs from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { pino } from 'pino';

const [dir, what, call] = process.argv.slice(2);
const { Disks } = await import('../../imager/disks/catalog.ts');
const disks = await Disks.open({ dir: dir!, log: pino({ level: 'silent' }) });
let left = Number(call);

function counted<T extends (...args: never[]) => unknown>(run: T): T {
  return ((...args: Parameters<T>) => {
    if (left-- === 0) process.kill(process.pid, 'SIGKILL');
    return run(...args);
  }) as T;
}

fs.renameSync = counted(fs.renameSync);
fs.fsyncSync = counted(fs.fsyncSync);
fs.rmSync = counted(fs.rmSync) as typeof fs.rmSync;
promises.rm = counted(promises.rm);
syncBuiltinESMExports();
await (what === 'disk' ? disks.remove('n1') : disks.removeBase('b'));
await disks.close();
