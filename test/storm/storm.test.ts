/** 500 machines of simulated firmware are powered on within one second: the whole imager, on a wire of its own. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { Lab } from '../../firmware-stubs/rig/lab.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { NodeShell } from '../service/lab.ts';
import { bundle } from '../support/inside.ts';
import { asKernel } from '../support/kernels.ts';
import { sampleBytes } from '../tftp/served.ts';
import { identity, type Storm } from './identity.ts';

const NODES = 500;
const MIB = 2 ** 20;
/** `make proofs` has nodes that load 8. */
const IMAGE_MIB = Number(process.env.BOOTWRIGHT_STORM_MIB ?? 3);
const MOST_MEMORY_KB = 300 * 1024;

let dir: string;
let lab: Lab;

beforeAll(async () => {
  mkdirSync(projectFile('build/test'), { recursive: true });
  dir = mkdtempSync(projectFile('build/test/storm-'));
  lab = await Lab.open({ dir, address: '10.77.0.1/16' });
});
afterAll(async () => {
  await lab.close();
  rmSync(dir, { recursive: true, force: true });
});

test(`${NODES} nodes, each DHCP and ${IMAGE_MIB} MiB over TFTP: all boot, none is starved`, async () => {
  const [imager, nodes] = await Promise.all([bundle('imager/cli/main.ts'), bundle('test/storm/nodes.ts')]);
  const config = join(dir, 'imager.yaml');
  const file = (name: string) => join(dir, name);
  writeFileSync(config, stringify(CONFIG));
  writeFileSync(file('kernel'), asKernel('amd64', Buffer.alloc(4096)));
  writeFileSync(file('initrd'), sampleBytes(IMAGE_MIB * MIB));
  await lab.startImager({ config, program: [process.execPath, imager], withinMs: 60_000 });
  const added = await lab.imagerCommand([
    ...['image', 'add', 'storm', '--arch', 'amd64', '--args', 'quiet'],
    ...['--kernel', file('kernel'), '--initrd', file('initrd')],
  ]);
  expect(added).toMatchObject({ code: 0 });

  const rack = await NodeShell.open(lab.space, 'rack', '52:54:00:77:00:02');
  await rack.run('ip address add 10.77.0.2/16 dev eth0; ip route add default dev eth0');
  await rack.run('for net in 1 2; do ip route add local 10.77.$net.0/24 dev eth0; done');
  const output = await rack.run(`${process.execPath} ${nodes} ${NODES} 16 ${file('initrd')}`);
  const storm: Storm = JSON.parse(output);
  const memory = mostResident(config);
  const { p50, p90, p99, max } = percentiles(storm.seconds);
  const seconds = [p50, p90, p99, max].map((value) => value.toFixed(1)).join(', ');
  console.log(
    `boot storm: ${storm.seconds.length} of ${NODES} booted; seconds p50, p90, p99, max: ${seconds}; memory ${Math.round(memory / 1024)} MiB`,
  );

  expect(storm.failures).toEqual([]);
  expect(storm.seconds).toHaveLength(NODES);
  expect(max).toBeLessThan(1.5 * p50);
  expect(memory).toBeLessThan(MOST_MEMORY_KB);
}, 600_000);

const CONFIG = {
  state: './state',
  cluster: 'storm',
  network: { address: '10.77.0.1', prefix: 16, leaseSeconds: 3600 },
  boot: { files: { bios: 'images/storm/initrd' } },
  nodes: Array.from({ length: NODES }, (_, n) => ({ name: `n${n}`, ...identity(n) })),
};

/** VmHWM of the imager, KiB. */
function mostResident(config: string): number {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const read = (name: string): string => {
      try {
        return readFileSync(`/proc/${pid}/${name}`, 'utf8');
      } catch {
        return '';
      }
    };
    const words = read('cmdline').split('\0');
    if (words[0] === process.execPath && words.includes('serve') && words.includes(config))
      return Number(/VmHWM:\s+(\d+) kB/.exec(read('status'))![1]);
  }
  throw new Error('the imager is gone');
}

function percentiles(values: number[]): { p50: number; p90: number; p99: number; max: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}
