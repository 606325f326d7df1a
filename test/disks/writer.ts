/**
 * The victim of kill.test.ts: writes to the disk n1 of the store in DIR, block after block at random places, and
 * tells what it does: "w BLOCK VALUE" before a write ("zero" before a trim), "b" before a flush, "f" after it. Usage: writer.ts DIR SEED.
 */
import { writeSync } from 'node:fs';
import { pino } from 'pino';
import { Disks } from '../../imager/disks/catalog.ts';
import { attached } from './attached.ts';

const [dir, seed] = process.argv.slice(2);
const disks = await Disks.open({ dir: dir!, log: pino({ level: 'silent' }) });
const disk = await attached(disks, 'n1');
let state = Number(seed);
const random = (limit: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
};
for (let value = 1; ; value++) {
  const block = random(disk.size / 4096);
  const trims = random(5) === 0;
  writeSync(1, `w ${block} ${trims ? 'zero' : value}\n`);
  if (trims) await disk.trim(block * 4096, 4096);
  else await disk.write(Buffer.alloc(4096, Buffer.from(`${value};`.padStart(16))), block * 4096);
  if (random(3) > 0) continue;
  writeSync(1, 'b\n');
  await disk.flush();
  writeSync(1, 'f\n');
}
