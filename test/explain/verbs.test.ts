/** `imager node boots` and `imager pxe explain` against a running imager. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { BootsView } from '../../imager/journal/attempts.ts';
import { CONFIG, NodeShell, ServiceLab } from '../service/lab.ts';
import { endsWithTest } from '../support/ends-with-test.ts';

// Generous: the machine may be busy with other tests.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });
const STRANGER = '52:54:00:77:00:99';
const CAPTURE = resolve(import.meta.dirname, '../../fixtures/captures/blocked-port.pcap');

let lab: ServiceLab;
let node: NodeShell;
let stranger: NodeShell;
beforeAll(async () => {
  lab = await ServiceLab.open();
  await lab.serve();
  node = await NodeShell.open(lab.space, 'peer1', '52:54:00:77:00:01');
  stranger = await NodeShell.open(lab.space, 'peer2', STRANGER);
});
afterAll(() => lab.close());

/** A boot that ends with a file that is not there; -V makes udhcpc look like a boot ROM. */
const boot = (client: NodeShell, address: string) =>
  client.run(
    `udhcpc -i eth0 -n -q -f -t 3 -s /bin/true -V PXEClient:Arch:00000:UNDI:002001 2>&1
    ip address replace ${address}/24 dev eth0; curl -sS -m 5 tftp://10.77.0.1/images/nothing/kernel`,
  );

test('a node and a stranger: attempts, causes, and the same after SIGKILL', async () => {
  await boot(node, '10.77.0.11');
  await boot(stranger, '10.77.0.199');
  const shown = await lab.imager('node', 'boots', 'node1');
  expect(shown.stdout).toMatch(
    /^node1, boot of \d{4}-\S+ \S+Z: (?:in progress, at files|stopped at files: missing image.*|stopped at files: missing file.*)\n {4}0\.000 {2}dhcp +discover/,
  );
  expect(shown.stdout).toMatch(/tftp +refused \(unknown-file\) file=images\/nothing\/kernel/);
  const explained = await lab.imager('pxe', 'explain', 'node1');
  expect(explained.stdout.split('\n')[0]).toMatch(
    /^node1: missing image: "nothing" is not in the boot table, so TFTP server 10\.77\.0\.1 has no images\/nothing\/kernel$/,
  );
  expect(explained.stdout).toContain('  - add it: imager image build nothing --arch ARCH ');
  // A folder called like the node does not hide it.
  mkdirSync(join(lab.dir, 'node1'));
  expect((await lab.imager('pxe', 'explain', 'node1')).stdout).toBe(explained.stdout);
  const before = await lab.json<BootsView>('node', 'boots', STRANGER);
  expect(before).toMatchObject({ node: null, attempts: [{ phase: 'dhcp' }] });
  const [attempt] = before.attempts;
  const times = [attempt!.startedAt, attempt!.lastAt, ...attempt!.events.map(({ at }) => at)];
  expect(times.filter((at) => !Number.isInteger(at))).toEqual([]);
  await lab.stop('KILL');
  await lab.serve();
  const after = await lab.json<BootsView>('node', 'boots', STRANGER);
  expect(after.attempts.map(({ events }) => events)).toEqual(before.attempts.map(({ events }) => events));
  expect((await lab.json<BootsView>('node', 'boots', 'node1')).node).toBe('node1');
});

test('--check names the nodes whose image is not there', async () => {
  const { code, stdout, stderr } = await lab.imager('pxe', 'render', '--check');
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: 'imager: would not get what they are to boot: node1, node2, node3, pooled\n',
  });
  expect(stdout).toMatch(
    /^node1: image base is not in the boot table \(boot\.image of the configuration\)\n[\s\S]*\n7 menus for 4 nodes: 4 faults\n$/,
  );
});

test('a node that gets no menu: exit code 1', async () => {
  const { code, stdout, stderr } = await lab.imager('pxe', 'render', 'node1');
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr:
      'imager: node1 gets none of these menus: image base is not in the boot table (boot.image of the configuration)\n',
  });
  expect(stdout).toMatch(/^MENU .*SERVED AS\nboot\.ipxe .*image base is not in the boot table/m);
});

test('--follow shows what happens as it happens, and goes on when the imager is back', async () => {
  const program = lab.command(['node', 'boots', 'node1', '--follow', '--config', lab.config]);
  const child = endsWithTest(spawn(process.execPath, program, { cwd: lab.dir }));
  await said(child, 'refused (unknown-file) file=images/nothing/kernel');
  const next = said(child, 'refused (unknown-file) file=images/nothing/again');
  await node.run('curl -sS -m 5 tftp://10.77.0.1/images/nothing/again');
  await next;
  for (const signal of ['TERM', 'KILL'] as const) {
    const waits = said(child, 'the imager has ended, or hangs: waiting for it to come back');
    await lab.stop(signal);
    await waits;
    const back = said(child, 'the imager is back');
    await lab.serve();
    await back;
    let printed = '';
    child.stdout.on('data', (chunk) => {
      printed += chunk;
    });
    const later = said(child, `refused (unknown-file) file=images/nothing/${signal}`);
    await node.run(`curl -sS -m 5 tftp://10.77.0.1/images/nothing/${signal}`);
    await later;
    expect(printed).not.toContain('nothing/again');
  }
  const ended = new Promise<NodeJS.Signals | null>((done) => child.once('exit', (_code, by) => done(by)));
  child.kill('SIGINT');
  expect(await ended).toBe('SIGINT');
});

test('a node at the menu of its firmware', async () => {
  const config = join(lab.dir, 'menu.yaml');
  const menu = '{ items: [{ name: As always, boot: normal }, { name: Local disk, boot: local }] }';
  writeFileSync(config, CONFIG.replace('boot: {', `boot: { menu: ${menu},`));
  await lab.stop('TERM');
  await lab.serve(config);
  const client = await NodeShell.open(lab.space, 'peer3', '52:54:00:77:00:02');
  await client.run('udhcpc -i eth0 -n -q -f -t 3 -s /bin/true -V PXEClient:Arch:00000:UNDI:002001 2>&1');
  const waits = 'it shows its boot menu of 2 items and waits for a choice, or boots its own disk';
  // What came so lately may still go on.
  await vi.waitFor(
    async () => expect((await lab.imager('pxe', 'explain', 'node2')).stdout).toContain(`node2: ${waits}\n`),
    { timeout: 60_000, interval: 1000 },
  );
  expect((await lab.imager('node', 'boots', 'node2')).stdout).toContain(' menu=2 ');
});

test('nobody, and somebody who was never heard of', async () => {
  const nobody = await lab.imager('node', 'boots', 'nod1');
  expect(nobody).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('node, MAC or address "nod1"; there is'),
  });
  const silent = await lab.imager('node', 'boots', '02:00:00:00:00:01');
  expect(silent).toMatchObject({ code: 0, stdout: '02:00:00:00:00:01: nothing was ever heard of it\n' });
  const unexplained = await lab.imager('pxe', 'explain', '02:00:00:00:00:01');
  expect(unexplained).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^02:00:00:00:00:01: nothing was ever heard of it\n\nwhat to do:\n/),
  });
  expect(await lab.json('pxe', 'explain', 'node3')).toMatchObject({
    who: 'node3',
    cause: 'nothing was ever heard of it',
    advice: [expect.anything(), expect.stringContaining('"imager node show node3"')],
  });
  expect(await lab.json<BootsView>('node', 'boots', 'node3')).toMatchObject({ node: 'node3', attempts: [] });
  expect(await lab.imager('pxe', 'explain', 'nod1')).toMatchObject({ code: 1, stderr: nobody.stderr });
});

test('a capture needs no imager; its first line names the cause', async () => {
  copyFileSync(CAPTURE, join(lab.dir, 'boot.pcap'));
  const { code, stdout } = await lab.run(['pxe', 'explain', 'boot.pcap']);
  expect(code).toBe(0);
  expect(stdout.split('\n')[0]).toBe(
    '52:54:00:77:00:21: blocked port: TFTP server 10.77.0.1 answers nothing on UDP port 69',
  );
  expect(stdout).toMatch(/^what to do:\n {2}- look for a firewall/m);
  const none = await lab.run(['pxe', 'explain', 'imager.yaml']);
  expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('neither pcap nor pcapng') });
  const absent = await lab.run(['pxe', 'explain', 'absent.pcap']);
  expect(absent).toMatchObject({ code: 1, stderr: expect.stringContaining('absent.pcap is no file') });
  for (const folder of ['./', '.', 'folder.pcap']) {
    mkdirSync(join(lab.dir, folder), { recursive: true });
    const refused = await lab.run(['pxe', 'explain', folder]);
    expect(refused).toMatchObject({ code: 1, stderr: `imager: ${folder} is a folder, no capture file\n` });
  }
});

/** Resolves once `child` has printed `text`; rejects where it ends before. */
function said(child: ChildProcess, text: string): Promise<void> {
  let output = '';
  return new Promise((done, fail) => {
    const take = (chunk: Buffer) => {
      output += chunk;
      if (output.includes(text)) done();
    };
    child.stdout?.on('data', take);
    child.stderr?.on('data', take);
    child.once('exit', (code) => fail(new Error(`ended with ${code}: ${output}`)));
  });
}

test('who is unknown while the journal cannot be written: that is said, here and in health', async () => {
  await lab.stop('TERM');
  const strangers = join(lab.dir, 'state/journal/strangers.000001.jsonl');
  rmSync(strangers, { force: true });
  symlinkSync('/dev/full', strangers);
  await lab.serve();
  await boot(stranger, '10.77.0.199');
  const words = /boot journal not written, and what came is missing in it: ENOSPC/;
  const health = await lab.space.check(['curl', '-sS', 'http://10.77.0.1/health']);
  expect(JSON.parse(health).problems).toEqual([expect.stringMatching(words)]);
  const { code, stdout } = await lab.imager('pxe', 'explain', STRANGER);
  expect([code, stdout.split('\n')[0]]).toEqual([
    0,
    `${STRANGER}: nothing is known of it: the imager cannot write its boot journal`,
  ]);
  expect(stdout).toMatch(words);
});
