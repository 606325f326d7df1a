/** fio's own NBD engine, which goes through libnbd. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export interface FioJob {
  /** Of the export. */
  uri: string;
  /** Bytes of it that are used. */
  size: number;
  name: string;
  seed: number;
  /** Folder for the file that says how far it came. */
  dir: string;
}

export interface FioEnd {
  code: number | null;
  /** Blocks read and compared. */
  read: number;
  text: string;
}

/** Writes blocks of 4 KiB at random, flushing after every eighth; notes how far it came, however it ends. */
export function fioWrites(job: FioJob): Promise<FioEnd> {
  return fio(job, ['--iodepth=8', '--do_verify=0', '--verify_state_save=1']);
}

/** Reads what fioWrites was told is there, and compares. Nothing is where not one write was answered. */
export async function fioVerifies(job: FioJob): Promise<FioEnd> {
  if (!existsSync(join(job.dir, `local-${job.name}-0-verify.state`))) return { code: 0, read: 0, text: '' };
  return fio(job, ['--iodepth=1', '--verify_only=1', '--verify_state_load=1', '--verify_fatal=1']);
}

function fio({ uri, size, name, seed, dir }: FioJob, how: string[]): Promise<FioEnd> {
  const child = spawn(
    'fio',
    [
      ...[`--name=${name}`, '--ioengine=nbd', `--uri=${uri}`, '--rw=randwrite', '--bs=4k', `--size=${size}`],
      ...['--fsync=8', '--verify=crc32c', `--randseed=${seed}`, '--output-format=json', ...how],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], cwd: dir },
  );
  let text = '';
  let json = '';
  child.stdout.on('data', (chunk) => {
    json += chunk;
  });
  child.stderr.on('data', (chunk) => {
    text += chunk;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      const report = /^\{[\s\S]*^\}/m.exec(json)?.[0];
      const jobs = report === undefined ? [] : (JSON.parse(report) as { jobs: FioReport[] }).jobs;
      resolve({ code, read: jobs[0]?.read.total_ios ?? 0, text: text + (report === undefined ? json : '') });
    });
  });
}

interface FioReport {
  read: { total_ios: number };
}
