/**
 * The victim of kill.test.ts: adds, signed with the key in DIR, the image `a` of DIR/kernel and DIR/initrd and the tagged image
 * `b` made of it to the table DIR/images, and prints `added NAME` or why not. Before its change number KILL-AT of the file
 * system it dies.
 * Usage: adder.ts DIR [KILL-AT]
 */
import fs, { writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { addLinuxNbi } from '../../imager/images/nbi/add.ts';
import { BootTable } from '../../imager/images/table.ts';
import { openSigner } from '../../imager/signing/signer.ts';

const [dir, killAt = 'never'] = process.argv.slice(2);
const table = await BootTable.open(join(dir!, 'images'), openSigner(dir!));

let changes = 0;
function counted(of: object, names: readonly string[]): void {
  const calls = of as Record<string, (...args: unknown[]) => unknown>;
  for (const name of names) {
    const call = calls[name]!;
    calls[name] = function (this: unknown, ...args: unknown[]) {
      changes++;
      if (changes === Number(killAt)) {
        process.kill(process.pid, 'SIGKILL');
        for (;;);
      }
      return call.apply(this, args);
    };
  }
}
const handle: FileHandle = await open(join(dir!, 'kernel'), 'r');
await handle.close();
counted(Object.getPrototypeOf(handle) as object, ['sync', 'writeFile']);
counted(fs, ['writeFileSync', 'fsyncSync']);
counted(fs.promises, ['mkdir', 'open', 'rename', 'rm']);
syncBuiltinESMExports();

try {
  const files = { kernel: join(dir!, 'kernel'), initrd: join(dir!, 'initrd') };
  const a = await table.add({ name: 'a', arch: 'amd64', ...files });
  writeSync(1, 'added a\n');
  await addLinuxNbi(table, a, { name: 'b' });
  writeSync(1, 'added b\n');
  writeSync(1, `${changes} changes\n`);
} catch (error) {
  writeSync(1, `${(error as Error).name}: ${(error as Error).message}\n`);
}
