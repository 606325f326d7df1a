/**
 * The main job on both rigs: pointer -> DHCP -> TFTP or HTTP -> kernel -> agent -> NBD disk -> first reboot -> stage 1 ->
 * second reboot -> services -> stage 2 -> ready, then another image by `imager node flash` and a power cycle. The EEPROM of the one on
 * x86 has no room for its key, which is on its disk.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Rig } from '../../firmware-stubs/rig/qemu.ts';
import { Cluster, IMAGER } from '../support/cluster.ts';
import { bundle } from '../support/inside.ts';

const BOOTED = 240_000;

const SCRIPTS = [
  {
    name: '10-site.sh',
    stage: 1 as const,
    content: [
      '#!/bin/sh -e',
      'if wget -q -O - http://127.0.0.1/ 2>/dev/null; then exit 1; fi # services must be down',
      'echo "image $BOOTWRIGHT_IMAGE on $(hostname)" > /srv/www/index.html',
      'cat /proc/cmdline > /srv/www/cmdline.txt',
      '',
    ].join('\n'),
  },
  {
    name: '50-check.sh',
    stage: 2 as const,
    content: [
      'set -e',
      'wget -q -O - http://127.0.0.1/ > /srv/www/seen.txt',
      '# Another agent beside the one that booted the node: on its disk, and on its EEPROM alone.',
      'beside="/proc/$PPID/exe supervise --imager 10.77.0.1"',
      'echo "agent $PPID" > /srv/www/beside.txt',
      '$beside >> /srv/www/beside.txt 2>&1 || echo "exit $?" >> /srv/www/beside.txt',
      'if [ $(cat /sys/block/vda/size) -eq 32 ]; then',
      '  $beside --state /tmp/other --pointer uboot-env:/dev/vda >> /srv/www/beside.txt 2>&1 || echo "exit $?" >> /srv/www/beside.txt',
      'fi',
      '',
    ].join('\n'),
  },
];

/** The steps of each boot, as the serial line shows them. */
const FIRMWARE = ['start', 'pointer', 'dhcp', 'load', 'boot'];
const AGENT = [
  ['pointer', 'mounted', 'plan', 'installed', 'reboot'],
  ['pointer', 'mounted', 'stage1', 'reboot'],
  ['pointer', 'mounted', 'services', 'stage2', 'ready'],
];
const SEQUENCE = AGENT.flatMap((steps) => [...FIRMWARE, 'agent', ...steps]);
/** The same as the agent reports them to the imager, which defined the node before. */
const AGENT_SEQUENCE = ['define', ...AGENT.flat()];

describe.each(['arm64', 'x86'] as Rig[])('rig %s', (rig) => {
  let cluster: Cluster;
  beforeAll(async () => {
    const userConfig = { secondReboot: true, scripts: SCRIPTS };
    cluster = await Cluster.open({
      ...{ rig, nodes: ['n1'], images: ['alpha', 'beta'], userConfig },
      ...(rig === 'x86' ? { eepromSize: 8192 } : {}),
    });
  });
  afterAll(() => cluster?.close());

  it(
    'boots from its pointer through the double reboot until it is ready',
    async () => {
      const node = cluster.nodes[0]!;
      await node.powerOn();
      await node.waitForStep('ready', { withinMs: BOOTED });
      const seen = node.events().filter(({ component }) => component !== 'rig');
      expect(
        seen.map(({ step }) => step),
        node.serial(),
      ).toEqual(SEQUENCE);
      expect(await cluster.get('http://10.77.0.11/')).toBe('image alpha on n1\n');
      expect(await cluster.get('http://10.77.0.11/seen.txt')).toBe('image alpha on n1\n');
      expect(cluster.pointer(node)).toMatchObject({
        image: 'alpha',
        phase: 'ready',
        fallback: 'alpha',
        attempts: 3,
      });
    },
    BOOTED,
  );

  it('the imager saw every step, and serves no boot file but the pointed image', async () => {
    const events = await cluster.imagerEvents('n1');
    const steps = events.flatMap(({ component, step }) => (component === 'agent' ? [step] : []));
    expect(steps.filter((step) => step !== 'hello' && step !== 'disconnect')).toEqual(AGENT_SEQUENCE);
    const times = (step: string) => events.filter((event) => event.step === step).length;
    expect([times('offer'), times('ack')]).toEqual([3, 3]);
    // Once more where the relay of a pack has left by now.
    expect(times('attach')).toBeGreaterThanOrEqual(3);
    const files = events.flatMap(({ step, detail }) =>
      step === 'transfer-end' && !/^\/?packs\//.test(String(detail?.file)) ? [String(detail?.file)] : [],
    );
    expect(new Set(files.map((file) => file.replace(/^\//, '').split('/')[1]))).toEqual(new Set(['alpha']));
  });

  it('the imager knows that it is ready', async () => {
    const node = await cluster.json<{ pointer: { phase: string } }>('node', 'show', 'n1');
    expect(node.pointer).toMatchObject({ image: 'alpha', phase: 'ready', fallback: 'alpha' });
  });

  it('from its second boot on it is known by its key, wherever that is', async () => {
    const events = await cluster.imagerEvents('n1');
    const greeted = events.flatMap(({ step, detail }) => (step === 'hello' ? [detail?.by] : []));
    expect(greeted).toEqual(['uid', 'key', 'key']);
    const shown = await cluster.verb('node', 'show', 'n1');
    expect(shown.stdout.includes(', its key on disk n1-root')).toBe(rig === 'x86');
    const there = cluster.nodes[0]!.serial().match(/the key is on the disk: .*/g);
    if (rig === 'x86') expect(there?.[0]).toContain('no room for a local store');
    else expect(there).toBeNull();
  });

  it('no second agent writes to its stores, and is told who has them', async () => {
    const [first, ...said] = (await cluster.get('http://10.77.0.11/beside.txt')).trimEnd().split('\n');
    const locked = (path: string) =>
      expect.stringMatching(
        `^agent: ${path} is locked: another agent is at work here .process ${first!.slice('agent '.length)}: `,
      );
    const places = ['/var/lib/bootwright/lock', ...(rig === 'arm64' ? ['/dev/vda'] : [])];
    expect(said).toEqual(places.flatMap((place) => [locked(place), 'exit 1']));
  });

  it('wrong names are refused with what there is', async () => {
    const image = await cluster.verb('node', 'flash', 'n1', '--image', 'gamma', '--disk', 'n1-root');
    expect(image.code).toBe(1);
    expect(image.stderr).toMatch(/gamma.*\balpha\b.*\bbeta\b/s);
    const disk = await cluster.verb('node', 'flash', 'n1', '--image', 'beta', '--disk', 'n2-root');
    expect(disk.code).toBe(1);
    expect(disk.stderr).toMatch(/n2-root.*\bn1-root\b/s);
    const node = await cluster.verb('node', 'flash', 'n9', '--image', 'beta', '--disk', 'n1-root');
    expect(node.code).toBe(1);
    expect(node.stderr).toMatch(/n9.*\bn1\b/s);
    expect(cluster.pointer(cluster.nodes[0]!)).toMatchObject({ image: 'alpha', phase: 'ready' });
  });

  it(
    'flashed with another image and power-cycled it brings up that one',
    async () => {
      const node = cluster.nodes[0]!;
      await cluster.json('disk', 'create', 'n1-next', '--base', 'web');
      await cluster.json('node', 'flash', 'n1', '--image', 'beta', '--disk', 'n1-next');
      expect(cluster.pointer(node)).toMatchObject({
        image: 'beta',
        disks: ['n1-next'],
        phase: 'deploy',
        fallback: 'alpha',
      });
      expect(node.serial()).toMatch(/bootwright: image beta verified: 4 served files of \d{8} bytes/);
      await node.cutPower();
      await node.powerOn();
      await node.waitForStep('ready', { withinMs: BOOTED });
      const defined = (await cluster.imagerEvents('n1')).filter(({ step }) => step === 'define');
      // What was on its former disk stayed there.
      expect(defined).toHaveLength(rig === 'x86' ? 2 : 1);
      expect(await cluster.get('http://10.77.0.11/')).toBe('image beta on n1\n');
      expect(await cluster.get('http://10.77.0.11/cmdline.txt')).toContain('bootwright.image=beta');
      expect(cluster.pointer(node)).toMatchObject({ image: 'beta', phase: 'ready', fallback: 'beta' });
    },
    BOOTED,
  );

  it('who says it is the node, from its address, with its UID and its disk, is refused without its key', async () => {
    await cluster.nodes[0]!.cutPower();
    const { space } = cluster.lab;
    await space.check('ip address add 10.77.0.11/32 dev br0'.split(' '));
    const uid = '6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601';
    const words = [await bundle('test/support/imposter.ts'), IMAGER, '10.77.0.11', uid, 'n1-next'];
    const answer = JSON.parse(await space.check([process.execPath, ...words]));
    await space.check('ip address del 10.77.0.11/32 dev br0'.split(' '));
    // Told to the operator alone, who is told all of it.
    expect(answer).toMatchObject({ type: 'refuse', why: expect.stringContaining("in the imager's log") });
    const { refusals } = JSON.parse(await cluster.get(`http://${IMAGER}/api/nodes/n1`));
    expect(refusals.at(-1)).toMatchObject({
      ...{ reason: 'no-key', as: 'claim', address: '10.77.0.11' },
      why: expect.stringContaining('does not have its key'),
    });
  });

  it(
    'a node that is ready comes up in one boot and runs no script again',
    async () => {
      const node = cluster.nodes[0]!;
      const before = node.boots;
      await node.cutPower();
      await node.powerOn();
      await node.waitForStep('ready', { withinMs: BOOTED });
      expect(node.boots).toBe(before + 1);
      expect(node.serial()).not.toMatch(/step stage[12]/);
    },
    BOOTED,
  );
});
