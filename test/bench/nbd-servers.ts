/** The NBD servers that are compared: ours with its store, and the peers on copies of the same image. */
import { randomBytes } from 'node:crypto';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import type { NetworkNamespace } from '../../firmware-stubs/rig/namespace.ts';
import { Disks } from '../../imager/disks/catalog.ts';
import { startInside } from '../support/inside.ts';

export const IMAGE_SIZE = 256 * 2 ** 20;
export const ADDRESS = '127.0.0.1';
/** As `imager serve` has it. */
const LINGER_MS = '10000';

export interface NbdServerUnderTest {
  name: string;
  port: number;
  /** A disk for one client that writes. */
  disk: string;
  /** One for each of `crowd` clients at once: `%` stands for its number. */
  crowdDisks: string;
}

/** Starts them all inside, each with `image` of its own to write to; `program` is test/nbd/serve.ts, bundled. */
export async function startServers(
  space: NetworkNamespace,
  dir: string,
  program: string,
  crowd: number,
): Promise<NbdServerUnderTest[]> {
  const image = join(dir, 'image');
  writeFileSync(image, randomBytes(IMAGE_SIZE));
  const ours = await startOurs(space, join(dir, 'store'), image, program, crowd);
  const at = (name: string): string => join(dir, name);
  for (const name of ['kit.raw', 'qemu.raw']) copyFileSync(image, at(name));
  const qcow2 = ['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', image, '-F', 'raw', at('qemu.qcow2')];
  await space.check(qcow2);
  const kit = ['nbdkit', '--foreground', `--ipaddr=${ADDRESS}`];
  const qemu = ['qemu-nbd', '--persistent', `--shared=${crowd + 1}`, `--bind=${ADDRESS}`];
  const peers: [string, string[], string[]][] = [
    ['nbdkit file', [...kit, '--port'], ['file', at('kit.raw')]],
    ['nbdkit cow', [...kit, '--filter=cow', '--port'], ['file', image]],
    ['qemu-nbd raw', [...qemu, '--format=raw', '--port'], [at('qemu.raw')]],
    ['qemu-nbd qcow2', [...qemu, '--format=qcow2', '--port'], [at('qemu.qcow2')]],
  ];
  const started = peers.map(async ([name, before, after], i) => {
    const port = 10_900 + i;
    // nbdkit's overlay is a file in TMPDIR.
    const child = space.spawn([...before, `${port}`, ...after], { env: { ...process.env, TMPDIR: dir } });
    const failed = new Promise<never>((_, reject) =>
      child.once('exit', (code) => reject(new Error(`${name} ended with ${code}`))),
    );
    failed.catch(() => undefined);
    await Promise.race([failed, answers(space, port)]);
    return { name, port, disk: '', crowdDisks: '' };
  });
  return [ours, ...(await Promise.all(started))];
}

async function startOurs(
  space: NetworkNamespace,
  dir: string,
  image: string,
  program: string,
  crowd: number,
): Promise<NbdServerUnderTest> {
  const disks = await Disks.open({ dir, log: pino({ level: 'silent' }) });
  await disks.addBase('b', image);
  for (const name of ['disk', ...Array.from({ length: crowd }, (_, i) => `crowd${i}`)])
    await disks.create(name, 'b');
  await disks.close();
  const { ready } = await startInside(space, program, [dir, ADDRESS, LINGER_MS]);
  return { name: 'ours', port: Number(ready.split(' ')[1]), disk: 'disk', crowdDisks: 'crowd%' };
}

/** Resolves once a server answers there. */
async function answers(space: NetworkNamespace, port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if ((await space.run(['nbdinfo', '--size', `nbd://${ADDRESS}:${port}`])).code === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`no answer from port ${port}`);
}
