/** Transfers of real clients, fragments and refusals included, as a capture shows them. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { InsideProcess } from '../../firmware-stubs/rig/inside.ts';
import { readCapture } from '../../imager/explain/capture.ts';
import { observeCapture } from '../../imager/explain/from-capture.ts';
import type { Observation } from '../../imager/explain/observation.ts';
import { NodeShell, ServiceLab } from '../service/lab.ts';

// Generous: the machine may be busy with other tests.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });
const KERNEL = 700_000;

let lab: ServiceLab;
let node: NodeShell;
beforeAll(async () => {
  lab = await ServiceLab.open();
  await lab.serve();
  node = await NodeShell.open(lab.space, 'peer1', '52:54:00:77:00:01');
  await node.run('ip address add 10.77.0.11/24 dev eth0');
  const files = ['--kernel', join(lab.dir, 'kernel'), '--initrd', join(lab.dir, 'initrd')];
  await lab.json('image', 'add', 'base', '--arch', 'amd64', ...files, '--args', 'quiet');
});
afterAll(() => lab.close());

/** What a capture on the bridge shows of `script`, run on the node, up to its asking for a host that is not there. */
async function seen(script: string): Promise<Observation[]> {
  const file = join(lab.dir, 'wire.pcap');
  const tcpdump = [
    'tcpdump',
    '-i',
    'br0',
    '-B',
    '16384',
    '-n',
    '-U',
    '-l',
    '--print',
    '--immediate-mode',
    '-w',
    file,
  ];
  const child = lab.space.spawn(tcpdump);
  let said = '';
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (chunk) => {
      said += chunk;
    });
  while (!said.includes('listening on')) await once(child.stderr!, 'data');
  await node.run(`ip neighbour flush dev eth0; ${script}\ncurl -sS -m 1 tftp://10.77.0.99/end`);
  while (!said.includes('who-has 10.77.0.99')) await once(child.stdout!, 'data');
  await new InsideProcess(child).end('SIGINT');
  const { frames, fault } = readCapture(new Uint8Array(readFileSync(file)));
  expect(fault).toBeUndefined();
  return observeCapture(frames).flatMap(({ observations }) => observations);
}

const transfers = (observations: Observation[]) =>
  observations
    .filter((each) => each.kind === 'transfer')
    .map(({ protocol, file, end, bytes, size, code, reset }) => ({
      protocol,
      file,
      end,
      bytes,
      size,
      code,
      reset,
    }));

test('TFTP: whole, in fragments, not there', async () => {
  const observations = await seen(
    `for size in 512 8192; do curl -sS -m 60 --tftp-blksize $size -o /dev/null tftp://10.77.0.1/images/base/kernel; done
    curl -sS -m 5 tftp://10.77.0.1/nothing || true`,
  );
  const whole = { protocol: 'tftp', file: 'images/base/kernel', end: 'done', bytes: KERNEL };
  expect(transfers(observations)).toMatchObject([
    whole,
    { ...whole, size: KERNEL },
    { protocol: 'tftp', file: 'nothing', end: 'refused', code: 1 },
  ]);
  expect(observations.filter(({ kind }) => kind === 'arp')).toMatchObject([
    { target: '10.77.0.1', answered: true },
    { target: '10.77.0.99', answered: false },
  ]);
});

test('HTTP: two on one connection, a size first, a part, not there, nobody listening', async () => {
  const url = 'http://10.77.0.1';
  const observations = await seen(
    `curl -sS -m 60 ${url}/images/base/kernel ${url}/images/base/initrd >/dev/null
    curl -sS -m 60 -I ${url}/images/base/kernel --next -sS -m 60 -o /dev/null ${url}/images/base/kernel
    curl -sS -m 60 -r 0-99 -o /dev/null ${url}/images/base/kernel; curl -sS -m 5 ${url}/images/none/kernel
    curl -sS -m 5 ${url}:81/ || true`,
  );
  const whole = { protocol: 'http', end: 'done' };
  expect(transfers(observations)).toMatchObject([
    { ...whole, file: '/images/base/kernel', bytes: KERNEL, size: KERNEL },
    { ...whole, file: '/images/base/initrd', bytes: 90_000, size: 90_000 },
    { file: '/images/base/kernel', end: 'declined', bytes: 0, size: KERNEL },
    { ...whole, file: '/images/base/kernel', bytes: KERNEL, size: KERNEL },
    { file: '/images/base/kernel', end: 'declined', bytes: 100, size: 100 },
    { protocol: 'http', file: '/images/none/kernel', end: 'refused', code: 404 },
    { protocol: 'http', file: '', end: 'unanswered', reset: true },
  ]);
});

test('ICMP: nothing listens there', async () => {
  const observations = await seen(
    'curl -sS -m 5 http://10.77.0.1/health; curl -sS -m 2 tftp://10.77.0.1:6969/x',
  );
  const icmp = observations.filter(({ kind }) => kind === 'unreachable');
  expect(icmp.slice(0, 1)).toMatchObject([
    { by: '10.77.0.1', to: '10.77.0.1', code: 3, port: 6969, protocol: 'udp' },
  ]);
});
