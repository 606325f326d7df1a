/** What disks of one base cost the imager's machine, and what others that can do the same cost. */
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Random } from '../../fuzz/random.ts';
import { CLIENT_FLAGS, FLUSH, infoRequest, option, RawClient, READ, request, WRITE } from '../raw-client.ts';

const run = promisify(execFile);
const MIB = 2 ** 20;
const BLOCK = 4096;
const SCATTERED = 512;
const TOGETHER = 2 * MIB;
const READ_BYTES = 8 * MIB;

export interface Footprint {
  name: string;
  /** MiB on the file system, the base image included. */
  disk: number;
  /** MiB of memory that no other process has (smaps: private), and resident. */
  private: number;
  resident: number;
}

/** What a node's first hours may be: 512 single blocks all over the disk, 2 MiB together, 8 MiB read; then a flush. */
export async function useDisk(client: RawClient, size: number, seed: number): Promise<void> {
  const random = new Random();
  random.begin(seed, 0);
  const write = (offset: number, length: number): Promise<void> => {
    client.send(
      request({ type: WRITE, offset, payload: Buffer.alloc(length, `node ${seed} at ${offset} `) }),
    );
    return answer();
  };
  const answer = async (length = 0): Promise<void> => {
    const { error } = await client.reply(length);
    if (error !== 0) throw new Error(`error ${error}`);
  };
  for (let i = 0; i < SCATTERED; i++) await write(BLOCK * random.below(size / BLOCK), BLOCK);
  const start = BLOCK * random.below((size - TOGETHER) / BLOCK);
  for (let at = 0; at < TOGETHER; at += 128 * 1024) await write(start + at, 128 * 1024);
  for (let at = 0; at < READ_BYTES; at += MIB) {
    client.send(request({ type: READ, offset: at, length: MIB }));
    await answer(MIB);
  }
  client.send(request({ type: FLUSH }));
  await answer();
}

/** MiB that files take up, folders with all that is in them. */
export function diskUse(path: string): number {
  const { blocks } = statSync(path);
  const below = statSync(path).isDirectory()
    ? readdirSync(path).reduce((sum, name) => sum + diskUse(join(path, name)), 0)
    : 0;
  return below + (blocks * 512) / MIB;
}

export function memoryOf(pid: number): { private: number; resident: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kib = (key: RegExp): number =>
    [...text.matchAll(key)].reduce((sum, [, value]) => sum + Number(value), 0) / 1024;
  return { private: kib(/^Private_(?:Clean|Dirty): +(\d+)/gm), resident: kib(/^Rss: +(\d+)/gm) };
}

async function attach(socket: string, name: string): Promise<RawClient> {
  const client = RawClient.on(connect(socket));
  await client.take(18);
  client.send(CLIENT_FLAGS, option(7, infoRequest(name)));
  await client.optionReplies();
  return client;
}

/** `nodes` qcow2 overlays, all of them served by one qemu-storage-daemon, all attached and used. */
export async function daemonFootprint(base: string, dir: string, nodes: number): Promise<Footprint> {
  const { size } = statSync(base);
  const folder = join(dir, 'daemon');
  mkdirSync(folder);
  const [socket, pidFile] = [join(dir, 'socket'), join(dir, 'pid')];
  const exports = [];
  for (let i = 0; i < nodes; i++) {
    const file = join(folder, `${i}.qcow2`);
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', base, file]);
    const disk = `driver=qcow2,node-name=n${i},file.driver=file,file.filename=${file}`;
    exports.push('--blockdev', disk, '--export', `type=nbd,id=n${i},node-name=n${i},name=n${i},writable=on`);
  }
  const server = ['--nbd-server', `addr.type=unix,addr.path=${socket},max-connections=0`];
  await run('qemu-storage-daemon', ['--daemonize', '--pidfile', pidFile, ...server, ...exports]);
  const pid = Number(readFileSync(pidFile, 'utf8'));
  try {
    const clients = [];
    for (let i = 0; i < nodes; i++) {
      const client = await attach(socket, `n${i}`);
      clients.push(client);
      await useDisk(client, size, i);
    }
    const name = `${nodes} qcow2 overlays, one qemu-storage-daemon`;
    const found = { name, disk: diskUse(folder) + diskUse(base), ...memoryOf(pid) };
    for (const client of clients) client.socket.destroy();
    return found;
  } finally {
    process.kill(pid);
    for (const path of [folder, socket, pidFile]) rmSync(path, { force: true, recursive: true });
  }
}

/** `nodes` disks, each served by a qemu-nbd: measured on `sample` of them, and multiplied. */
export async function qemuFootprint(
  kind: 'raw' | 'qcow2',
  base: string,
  dir: string,
  { nodes, sample }: { nodes: number; sample: number },
): Promise<Footprint> {
  const { size } = statSync(base);
  const sum = { disk: 0, private: 0, resident: 0 };
  for (let i = 0; i < sample; i++) {
    const file = join(dir, `${i}.${kind}`);
    if (kind === 'qcow2') await run('qemu-img', ['create', '-q', '-f', kind, '-F', 'raw', '-b', base, file]);
    else await run('cp', ['--sparse=always', base, file]);
    const [socket, pidFile] = [join(dir, 'socket'), join(dir, 'pid')];
    await run('qemu-nbd', ['--fork', `--pid-file=${pidFile}`, '-t', '-k', socket, '-f', kind, file]);
    const pid = Number(readFileSync(pidFile, 'utf8'));
    try {
      const client = await attach(socket, '');
      await useDisk(client, size, i);
      const { private: own, resident } = memoryOf(pid);
      sum.private += own;
      sum.resident += resident;
      sum.disk += diskUse(file);
      client.socket.destroy();
      await client.ended;
    } finally {
      process.kill(pid);
      for (const path of [file, socket, pidFile]) rmSync(path, { force: true });
    }
  }
  const all = (value: number): number => (value / sample) * nodes;
  return {
    name: kind === 'raw' ? `${nodes} full copies, qemu-nbd each` : `${nodes} qcow2 overlays, qemu-nbd each`,
    disk: all(sum.disk) + (kind === 'qcow2' ? diskUse(base) : 0),
    private: all(sum.private),
    resident: all(sum.resident),
  };
}
