/** The whole imager as its users have it: the command line and real clients, in a network namespace. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { encodeMessage } from '../../imager/dhcp/codec.ts';
import type { LeaseView } from '../../imager/dhcp/lease.ts';
import type { DiskView } from '../../imager/disks/catalog.ts';
import type { CheckReport } from '../../imager/disks/check.ts';
import type { BootEvent } from '../../imager/journal/event.ts';
import type { Flashed, Health, NodeDetails, NodeView } from '../../imager/model/views.ts';
import { request } from '../dhcp/fakes.ts';
import { bundle } from '../support/inside.ts';
import { asKernel } from '../support/kernels.ts';
import { CONFIG, NodeShell, ServiceLab } from './lab.ts';

// Generous: the machine may be busy with other tests.
vi.setConfig({ testTimeout: 120_000 });

let lab: ServiceLab;
let node1: NodeShell;
let node2: NodeShell;
let agent: string;
let ready: string;

beforeAll(async () => {
  lab = await ServiceLab.open();
  agent = await bundle('test/service/agent-program.ts');
  ready = await lab.serve();
  node1 = await NodeShell.open(lab.space, 'peer1', '52:54:00:77:00:01');
  node2 = await NodeShell.open(lab.space, 'peer2', '52:54:00:77:00:02');
  const files = ['--kernel', join(lab.dir, 'kernel'), '--initrd', join(lab.dir, 'initrd')];
  for (const image of ['base', 'other'])
    await lab.json('image', 'add', image, '--arch', 'amd64', ...files, '--args', `console=ttyS0 ${image}`);
  await lab.json('base', 'add', 'root', join(lab.dir, 'root.img'));
  for (const disk of ['d1', 'd2', 'd3']) await lab.json('disk', 'create', disk, '--base', 'root');
  writeFileSync(join(lab.dir, 'bound.sh'), '#!/bin/sh\n[ "$1" = bound ] && env\n', { mode: 0o755 });
});
afterAll(() => lab.close());

/** Waits for a line of the test agent's output. */
function agentSays(client: NodeShell, text: string): Promise<string> {
  return client.run(
    `timeout 60 sh -c 'tail -n +1 -F agent.log 2>/dev/null | grep -m1 -F "$0"' '${text}' || { echo missing; cat agent.log; }`,
  );
}

async function api<T>(client: NodeShell, path: string): Promise<T> {
  return JSON.parse(await client.run(`curl -sS http://10.77.0.1${path}`)) as T;
}

describe('a node boots', () => {
  test('serve says where everything is, in one line', () => {
    expect(ready).toBe(
      `ready http=10.77.0.1:80 tftp=10.77.0.1:69 nbd=10.77.0.1:10809 agent=10.77.0.1:4747 control=${lab.dir}/state/control.sock`,
    );
  });

  test('udhcpc gets the reserved address and the host name', async () => {
    const bound = await node1.run(
      `cd ${lab.dir}; udhcpc -i eth0 -f -q -n -t 5 -s ${lab.dir}/bound.sh -x hostname:x`,
    );
    expect(bound).toMatch(/^ip=10\.77\.0\.11$/m);
    expect(bound).toMatch(/^hostname=web1$/m);
    expect(bound).toMatch(/^router=10\.77\.0\.1$/m);
    await node1.run('ip address add 10.77.0.11/24 dev eth0');
    await node2.run(`mkdir -p ${lab.dir}/two; cd ${lab.dir}/two; ip address add 10.77.0.12/24 dev eth0`);
  });

  test('tftp and curl load the image', async () => {
    const manifest = await node1.run(
      'tftp -m binary 10.77.0.1 -c get images/base/manifest.env m.env && cat m.env',
    );
    expect(manifest).toContain('bw_args=console=ttyS0 base');
    await node1.run('tftp -m binary 10.77.0.1 -c get images/base/kernel k.tftp');
    expect(await node1.run('cmp k.tftp kernel && echo same')).toBe('same\n');
    await node1.run('curl -sS -o i.http http://10.77.0.1/images/base/initrd');
    expect(await node1.run('cmp i.http initrd && echo same')).toBe('same\n');
  });

  test('nbdinfo and nbdcopy see the disk', async () => {
    const info = JSON.parse(await node1.run('nbdinfo --json nbd://10.77.0.1/d1')) as {
      exports: { 'export-size': number; is_read_only: boolean }[];
    };
    expect(info.exports[0]).toMatchObject({ 'export-size': 4 * 1024 * 1024, is_read_only: false });
    expect(await node1.run('nbdcopy nbd://10.77.0.1/d1 d1.raw && cmp d1.raw root.img && echo same')).toBe(
      'same\n',
    );
  });

  test('a disk is checked as soon as its client left, though the imager keeps it open for a while', async () => {
    const { blocks } = await lab.json<CheckReport>('disk', 'check', 'd1');
    expect(blocks).toBe(0);
  });

  test('the events tell the story of the node by its name', async () => {
    const events = await api<BootEvent[]>(node1, '/api/events?node=node1');
    const story = events.map(({ component, step }) => `${component} ${step}`);
    expect(story).toEqual(
      expect.arrayContaining([
        'dhcp offer',
        'dhcp ack',
        'tftp transfer-end',
        'http transfer-end',
        'nbd attach',
      ]),
    );
    expect(events.every((event) => event.node === 'node1')).toBe(true);
    const at = events.map((event) => event.at);
    expect(at).toEqual([...at].sort((a, b) => a - b));
  });

  test('health, leases and metrics', async () => {
    expect(await api<Health>(node1, '/health')).toMatchObject({
      status: 'ok',
      ports: { dhcp: 67, tftp: 69, http: 80, nbd: 10809, agent: 4747 },
      problems: [],
    });
    expect(await api(node1, '/api/leases')).toMatchObject([{ address: '10.77.0.11', node: 'node1' }]);
    const metrics = await node1.run('curl -sS http://10.77.0.1/metrics');
    expect(metrics).toMatch(/bootwright_server_total\{server="dhcp",what="received\.discover"\} [1-9]/);
    expect(metrics).toMatch(/bootwright_server_total\{server="nbd",what="read\.bytes"\} \d/);
    expect(metrics).toMatch(/bootwright_server\{server="nbd",what="pending\.bytes"\} \d/);
    expect(metrics).toMatch(/bootwright_dhcp_replies_total\{type="ack",reason=""\} 1/);
  });
});

describe('its agent', () => {
  test('is welcomed with its user configuration, and its steps are kept', async () => {
    await node1.run(`node ${agent} 10.77.0.1 4747 52:54:00:77:00:01 d1 >agent.log 2>&1 &`);
    expect(await agentSays(node1, '"welcome"')).toContain('"hostname":"web1"');
    expect(await agentSays(node1, '"ack"')).toContain('"seq":1');
    const [node] = await lab.json<NodeView[]>('node', 'list');
    expect(node).toMatchObject({
      name: 'node1',
      connected: true,
      pointer: { image: 'base', disks: ['d1'] },
      lastStep: { step: 'mounted', uptime: 2 },
    });
    const { stdout } = await lab.imager('node', 'list');
    expect(stdout).toMatch(
      /^NAME +ADDRESS +AGENT .*\nnode1 +10\.77\.0\.11 +connected +base +d1 +ready +mounted/,
    );
    expect((await lab.imager('node', 'show', 'node1')).stdout).toMatch(
      /boot boot-1 of base.*\n.*\n +2\.000 +mounted/,
    );
  });

  test('a disk its pointer names is its own', async () => {
    expect(await node2.run('nbdinfo --size nbd://10.77.0.1/d1')).toContain('server policy prevents');
    const refused = await api<BootEvent[]>(node2, '/api/events?node=node2');
    expect(refused.at(-1)).toMatchObject({ component: 'nbd', step: 'refused', reason: 'policy' });
    expect(await node2.run('nbdinfo --size nbd://10.77.0.1/d3')).toBe('4194304\n');
    expect(await node1.run('nbdinfo --size nbd://10.77.0.1/d1')).toBe('4194304\n');
    const flashed = await lab.imager('node', 'flash', 'node2', '--image', 'base', '--disk', 'd1');
    expect(flashed).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("imager: disk d1 is node1's: flash that to another disk first"),
    });
  });

  test('what is in use is not removed, and who uses it is told; what is not is gone', async () => {
    const refused = async (what: string, name: string, stderr: string) =>
      expect(await lab.imager(what, 'remove', name, '--yes')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(stderr),
      });
    await refused('disk', 'd1', `imager: disk "d1" is node1's: its boot pointer names it`);
    await refused('disk', 'd9', 'imager: no disk "d9"; there is: d1, d2, d3');
    await refused('base', 'root', 'imager: base image "root" is under disks d1, d2, d3: remove first');
    await lab.json('base', 'add', 'spare', join(lab.dir, 'root.img'));
    await lab.json('disk', 'create', 'spare', '--base', 'spare');
    for (const name of ['spare', 'base:spare']) {
      const reading = `qemu-io -r -f raw -c "sleep 60000" nbd://10.77.0.1/${name}`;
      const pid = (await node1.run(`${reading} >/dev/null 2>&1 & echo $!`)).trim();
      const [what, words] = name === 'spare' ? ['disk', 'in use'] : ['base', 'read'];
      await vi.waitFor(() => refused(what!, 'spare', `spare" is ${words} by 10.77.0.11: stop that first`), {
        timeout: 20_000,
        interval: 200,
      });
      await node1.run(`kill ${pid}`);
      await vi.waitFor(() => lab.json(what!, 'remove', 'spare', '--yes'), { timeout: 20_000, interval: 200 });
      expect(await node1.run(`nbdinfo --size nbd://10.77.0.1/${name} 2>&1`)).toContain('no export named');
    }
    expect((await lab.json<DiskView[]>('disk', 'list')).map(({ name }) => name)).toEqual(['d1', 'd2', 'd3']);
  });

  test('flash tells old and new once the node has confirmed', async () => {
    const { code, stdout } = await lab.imager('node', 'flash', 'node1', '--image', 'other', '--disk', 'd2');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^image +base -> other$/m);
    expect(stdout).toMatch(/^disks +d1 -> d2$/m);
    expect(stdout).toMatch(/^sequence +1 -> 2$/m);
    expect(await agentSays(node1, '"flash"')).toContain('"imagers":["10.77.0.1"],"cluster":"demo"');
    const { old, pointer } = await lab.json<Flashed>(
      'node',
      'flash',
      'node1',
      '--image',
      'other',
      '--disk',
      'd2',
      '--disk',
      'd3',
    );
    expect([old?.disks, pointer.disks]).toEqual([['d2'], ['d2', 'd3']]);
    expect(old?.deployment).not.toBe(pointer.deployment);
  });

  const flash = (node: string, image: string, ...disks: string[]) =>
    [`nodes/${node}/flash`, { image, disks }] as const;
  test.each([
    [...flash('node1', 'bass', 'd1'), 404, 'no boot image "bass"; there is: base, other'],
    [...flash('node1', 'base', 'dd'), 404, 'no disk "dd"; there is: d1, d2, d3'],
    [...flash('node9', 'base', 'd1'), 404, 'no node "node9"; there is: node1, node2, node3'],
    [
      ...flash('node2', 'base', 'd1'),
      409,
      'no agent of node2 is connected: power node2 on and let it boot; where its own system is up, start its agent there (agent supervise)',
    ],
    [...flash('node1', 'base', 'd1', 'd1'), 400, 'the same disk twice: d1, d1'],
    ['disks', { name: 'x', base: 'y' }, 404, 'no base image "y"; there is: root'],
    ['disks', { name: 'd1', base: 'root' }, 409, 'disk "d1" exists already'],
    ['bases', { name: 'x', file: '/no/such.img' }, 400, '/no/such.img'],
    ['nodes/node3/power', { action: 'off' }, 409, 'the configuration has no power.off for node3'],
    ['nodes/node3/power', { action: 'on' }, 502, 'exit 4: no such outlet'],
  ])('a wrong wish is refused with what there is: %s %j', async (path, body, status, message) => {
    const answer = await lab.ask(`/control/${path}`, body);
    expect(answer.error).toContain(message);
    expect(answer.status).toBe(status);
  });

  test('an image whose files are no longer those that were added is not flashed, and that is told', async () => {
    const kernel = join(lab.dir, 'state/images/other/kernel');
    const sound = readFileSync(kernel);
    const changed = Buffer.from(sound);
    changed[changed.length - 1]! ^= 1;
    writeFileSync(kernel, changed);
    const [path, body] = flash('node1', 'other', 'd2');
    const answer = await lab.ask(`/control/${path}`, body);
    writeFileSync(kernel, sound);
    expect(answer).toMatchObject({
      status: 409,
      error: expect.stringMatching(
        /^image other is not what was added: kernel .*; remove its folder \/.*\/images\/other and add it again$/,
      ),
    });
    const events = await api<BootEvent[]>(node1, '/api/events?node=node1');
    expect(events.find(({ reason }) => reason === 'tampered')).toMatchObject({
      node: 'node1',
      detail: { image: 'other', why: answer.error },
    });
    await lab.logged(`flash refused: ${answer.error}`);
  });

  test('nor one with a file that is short or gone: which, and how long it is to be, is told and kept', async () => {
    const kernel = join(lab.dir, 'state/images/other/kernel');
    const sound = readFileSync(kernel);
    const [path, body] = flash('node1', 'other', 'd2');
    for (const [there, damage] of [
      [sound.subarray(1), `kernel has ${sound.length - 1} bytes`],
      [undefined, 'kernel has no bytes'],
    ] as const) {
      if (there === undefined) rmSync(kernel);
      else writeFileSync(kernel, there);
      const answer = await lab.ask(`/control/${path}`, body);
      const mending = `remove its folder ${join(lab.dir, 'state/images/other')} and add it again`;
      const said = `image other is damaged: ${damage}, not ${sound.length}; ${mending}`;
      expect(answer).toEqual({ status: 409, error: said });
      const events = await api<BootEvent[]>(node1, '/api/events?node=node1');
      expect(events.filter(({ detail }) => detail?.why === said)).toMatchObject([
        {
          component: 'imager',
          step: 'refused',
          reason: 'damaged',
          node: 'node1',
          detail: { image: 'other' },
        },
      ]);
      await lab.logged(`flash refused: ${said}`);
    }
    writeFileSync(kernel, sound);
    expect(lab.log()).not.toContain('request failed');
  });

  test('nor one for another processor than its node has told of', async () => {
    writeFileSync(join(lab.dir, 'kernel-arm'), asKernel('arm64', Buffer.alloc(70_000, 'kernel')));
    const files = ['--kernel', join(lab.dir, 'kernel-arm'), '--initrd', join(lab.dir, 'initrd')];
    await lab.json('image', 'add', 'arm', '--arch', 'arm64', ...files);
    const [path, body] = flash('node1', 'arm', 'd2');
    const why = 'image arm is for arm64; node1 has an x86_64 processor, as told at its last join';
    expect(await lab.ask(`/control/${path}`, body)).toEqual({ status: 409, error: why });
    const events = await api<BootEvent[]>(node1, '/api/events?node=node1');
    const told = { component: 'imager', step: 'refused', node: 'node1', detail: { image: 'arm', why } };
    expect(events.find(({ reason }) => reason === 'other-processor')).toMatchObject(told);
    await lab.logged(`flash refused: ${why}`);
    rmSync(join(lab.dir, 'state/images/arm'), { recursive: true });
  });

  test('the command line says the same and ends with 1', async () => {
    const args = ['node', 'flash', 'node1', '--image', 'bass', '--disk', 'd1'];
    expect(await lab.imager(...args)).toEqual({
      code: 1,
      stdout: '',
      stderr: 'imager: no boot image "bass"; there is: base, other\n',
    });
  });

  test('power goes through the agent where there is one, else through the commands', async () => {
    expect((await lab.imager('node', 'power', 'node1', 'reboot')).stdout).toBe(
      'node1: reboot through the agent\n',
    );
    expect(await agentSays(node1, '"power"')).toContain('"action":"reboot"');
    expect(await lab.json('node', 'power', 'node2', 'cycle')).toEqual({
      node: 'node2',
      action: 'cycle',
      via: 'command',
    });
    expect(readFileSync(join(lab.dir, 'power.log'), 'utf8')).toBe('off\non\n');
  });
});

describe('the imager ends and comes back', () => {
  test('SIGTERM ends it in order; what it knew and what disks hold is there again', async () => {
    await node1.run('qemu-io -f raw -c "write -P 9 8192 4096" -c flush nbd://10.77.0.1/d2');
    expect(await lab.stop('TERM')).toBe(0);
    expect(lab.log()).toMatch(/"msg":"stopped"/);
    expect(await agentSays(node1, 'closed')).toBe('closed\n');
    expect(await lab.serve()).toBe(ready);
    const node = await lab.json<NodeDetails>('node', 'show', 'node1');
    expect(node).toMatchObject({ connected: false, pointer: { disks: ['d2', 'd3'] } });
    expect(node.boots[0]?.steps).toHaveLength(1);
    expect(await node1.run('qemu-io -f raw -c "read -P 9 8192 4096" nbd://10.77.0.1/d2')).toMatch(
      /read 4096\/4096/,
    );
    expect((await lab.json<DiskView>('disk', 'show', 'd2')).blocksWritten).toBeGreaterThan(0);
    expect(await api(node1, '/api/leases')).toMatchObject([{ address: '10.77.0.11' }]);
  });

  test('SIGKILL leaves nothing that stops the next one', async () => {
    await lab.stop('KILL');
    const { code, stderr } = await lab.imager('node', 'list');
    expect(code).toBe(3);
    expect(stderr).toContain(`start it with "imager serve --config ${lab.config}"`);
    expect(await lab.serve()).toBe(ready);
  });

  test('a second imager on the same state is refused', async () => {
    const { code, stderr } = await lab.run(['serve', '--config', lab.config]);
    expect(code).toBe(1);
    expect(stderr).toContain(`in use by another imager (process ${lab.pid()})`);
  });

  test('a port in use is told by service and number, and nothing stays behind', async () => {
    const other = join(lab.dir, 'other.yaml');
    writeFileSync(
      other,
      CONFIG.replace('./state', './other-state').replace('boot:', 'ports: { tftp: 1069 }\nboot:'),
    );
    await expect(lab.serve(other)).rejects.toThrow(
      /ended with 1 [\s\S]*cannot start nbd on TCP port 10809 of 10\.77\.0\.1: the port is in use[\s\S]*ports\.nbd/,
    );
    expect(await lab.space.check(['ss', '-lun'])).not.toContain(':1069');
    const outside = await lab.run(['serve', '--config', other]);
    expect(outside).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/10\.77\.0\.1: no interface of this machine has the address/),
    });
  });

  test('SIGINT ends it too, and a second signal does not cut that short', async () => {
    // A connection whose other end stays open makes the stop last a second.
    const connection = "require('net').connect({ host: '10.77.0.1', port: 4747, allowHalfOpen: true })";
    const program = `setTimeout(() => {}, 20000); ${connection}.resume().once('connect', () => console.log('open'))`;
    const pipe = join(lab.dir, 'open');
    await node2.run(`mkfifo ${pipe}; node -e "${program}" >${pipe} & read line <${pipe}`);
    const ended = lab.stop('INT');
    await lab.logged('"msg":"stopping"');
    await lab.signal('INT');
    expect(await ended).toBe(0);
    expect(lab.log()).toContain('"msg":"stopped"');
  });
});

describe('a node without an address of its own', () => {
  let pooled: NodeShell;
  let address: string;
  const agentOf = (disk: string) =>
    pooled.run(`rm -f agent.log; node ${agent} 10.77.0.1 4747 52:54:00:77:00:04 ${disk} >agent.log 2>&1 &`);

  beforeAll(async () => {
    expect(await lab.serve()).toBe(ready);
    pooled = await NodeShell.open(lab.space, 'peer3', '52:54:00:77:00:04');
    const bound = await pooled.run(
      `mkdir ${lab.dir}/three; cd ${lab.dir}/three; udhcpc -i eth0 -f -q -n -t 5 -s ${lab.dir}/bound.sh`,
    );
    expect(bound).toMatch(/^hostname=pooled$/m);
    address = /^ip=(10\.77\.0\.1\d\d)$/m.exec(bound)?.[1] ?? '';
  });

  test('is welcomed from the address it was leased alone', async () => {
    await pooled.run('ip address add 10.77.0.250/24 dev eth0');
    await agentOf('d1');
    // Who proves nothing is told little: the reason is the log's.
    expect(await agentSays(pooled, '"refuse"')).toContain('it is not taken in');
    await lab.logged('10.77.0.250 is not leased to it');
    await pooled.run(`ip address flush dev eth0; ip address add ${address}/24 dev eth0`);
    await agentOf('d1');
    expect(await agentSays(pooled, '"welcome"')).toContain('"node":"pooled"');
  });

  test('has its disk to itself, and gains no other by naming it', async () => {
    expect(await node2.run('nbdinfo --size nbd://10.77.0.1/d1')).toContain('server policy prevents');
    expect(await pooled.run('nbdinfo --size nbd://10.77.0.1/d1')).toBe('4194304\n');
    await agentOf('d2');
    let events: BootEvent[] = [];
    const claims = () => events.filter(({ reason }) => reason === 'disk-of-other');
    while (claims().length === 0) events = await api<BootEvent[]>(pooled, '/api/events?node=pooled');
    expect(await pooled.run('nbdinfo --size nbd://10.77.0.1/d2')).toContain('server policy prevents');
    expect(claims()).toMatchObject([
      { component: 'agent', step: 'claim', address, detail: { disk: 'd2', owner: 'node1' } },
    ]);
    expect(events.filter(({ component }) => component === 'dhcp').map(({ step }) => step)).toEqual(
      expect.arrayContaining(['discover', 'offer', 'request', 'ack']),
    );
  });

  test('keeps its address while its agent is connected, although it has given back the lease', async () => {
    const lease = async () =>
      (await api<LeaseView[]>(pooled, '/api/leases')).find((each) => each.address === address);
    expect(await lease()).toMatchObject({ client: 'node:pooled', state: 'bound' });
    const { bytes } = encodeMessage(request('release', { ciaddr: address, mac: '52:54:00:77:00:04' }));
    const packet = `Buffer.from('${Buffer.from(bytes).toString('hex')}', 'hex')`;
    const program = `const s = require('dgram').createSocket('udp4'); s.send(${packet}, 67, '10.77.0.1', () => s.close())`;
    await pooled.run(`node -e "${program}"`);
    while ((await lease())?.state !== 'released');
    await node2.run('ip link set eth0 down; ip link set eth0 address 52:54:00:77:00:99; ip link set eth0 up');
    const other = await node2.run(`udhcpc -i eth0 -f -q -n -t 5 -r ${address} -s ${lab.dir}/bound.sh`);
    expect(other).toMatch(/^ip=10\.77\.0\.1\d\d$/m);
    expect(other).not.toContain(`ip=${address}\n`);
  });
});
