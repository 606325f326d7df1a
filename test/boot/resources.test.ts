/**
 * What a node consists of, from the node's own kernel to the imager's registry: known hardware is told as it is, and what is
 * changed between two boots is just what the difference says.
 */
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Resource } from '../../agent/protocol/resources.ts';
import type { RigNode } from '../../firmware-stubs/rig/node.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import type { Rig } from '../../firmware-stubs/rig/qemu.ts';
import type { ResourcesView } from '../../imager/model/inventory.ts';
import { Cluster } from '../support/cluster.ts';

const BOOTED = 240_000;
const MIB = 2 ** 20;
const SECOND_MAC = '00:16:3e:77:00:99';

/** Where PCI devices are, with what the rig plugs in by itself. */
const PLACES = {
  arm64: { net: 'platform-a003c00.virtio_mmio', second: '0000:00:05.0', disk: '0000:00:06.0' },
  x86: { net: 'pci-0000:00:03.0', second: '0000:00:05.0', disk: '0000:00:06.0' },
} as const;

let work: string;
let data: string;
beforeAll(() => {
  mkdirSync(projectFile('build/test'), { recursive: true });
  work = mkdtempSync(projectFile('build/test/resources-'));
  data = join(work, 'data.img');
  writeFileSync(data, '');
  truncateSync(data, 64 * MIB);
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

const network = [
  ...['-netdev', 'hubport,id=second,hubid=7'],
  ...['-device', `virtio-net-pci,netdev=second,mac=${SECOND_MAC},romfile=,addr=05.0`],
];
const disk = () => [
  ...['-drive', `if=none,id=data,format=raw,file=${data}`],
  ...['-device', 'virtio-blk-pci,drive=data,serial=DATA7,addr=06.0'],
];
const smbios = [
  ...['-smbios', 'type=0,vendor=Bootwright rig,version=7.1'],
  ...['-smbios', 'type=17,loc_pfx=SLOT,bank=B0,manufacturer=Maker,serial=D7,part=P-7'],
];

/** Both in `make proofs`. */
const RIGS: Rig[] = process.env.BOOTWRIGHT_RESOURCES === 'all' ? ['x86', 'arm64'] : ['x86'];

describe.each(RIGS)('rig %s', (rig) => {
  let cluster: Cluster;
  let node: RigNode;
  const firmware = rig === 'x86' ? smbios : [];
  beforeAll(async () => {
    cluster = await Cluster.open({
      rig,
      nodes: ['n1'],
      images: ['alpha'],
      machine: { memoryMiB: 512, processors: 2, devices: [...firmware, ...network, ...disk()] },
      userConfig: { secondReboot: false, scripts: [] },
    });
    node = cluster.nodes[0]!;
  });
  afterAll(() => cluster?.close());

  const shown = () => cluster.json<ResourcesView>('node', 'resources', 'n1');
  /** Once the imager has told of them `times` times. */
  const told = async (times: number): Promise<ResourcesView> => {
    const events = await cluster.imagerEvents('n1');
    if (events.filter(({ step }) => step === 'resources').length >= times) return shown();
    await new Promise((resolve) => setTimeout(resolve, 20));
    return told(times);
  };
  const of = (resources: readonly Resource[], kind: string) => {
    return Object.fromEntries(
      resources.filter((each) => each.kind === kind).map(({ key, fields }) => [key, fields]),
    );
  };

  it(
    'known hardware is told as it is',
    async () => {
      await node.powerOn();
      await node.waitForStep('ready', { withinMs: BOOTED });
      const { last, previous } = await told(1);
      expect(previous).toBeNull();
      const { resources, faults } = last!;
      expect(faults).toEqual([]);
      expect(of(resources, 'adapter')).toMatchObject({
        '52:54:00:77:00:11': {
          name: 'eth0',
          driver: 'virtio_net',
          mtu: 1500,
          carrier: true,
          place: PLACES[rig].net,
        },
        [SECOND_MAC]: { name: 'eth1', place: `pci-${PLACES[rig].second}` },
      });
      expect(of(resources, 'disk')).toMatchObject({
        [`pci-${PLACES[rig].disk}`]: { bytes: 64 * MIB, serial: 'DATA7', rotational: true },
        nbd0: { virtual: true },
      });
      expect(of(resources, 'memory')).toMatchObject({ total: { bytes: 512 * MIB } });
      expect(Object.values(of(resources, 'processor')).map(({ threads }) => threads)).toEqual([2]);
    },
    BOOTED,
  );

  it(
    'what is changed between two boots is just what the difference says',
    async () => {
      await node.cutPower();
      node.refit({ memoryMiB: 768, processors: 2, devices: [...firmware, ...disk()] });
      await node.powerOn();
      await node.waitForStep('ready', { withinMs: BOOTED });
      const { diff } = await told(2);
      const bytes = { kind: 'memory', field: 'bytes', from: 512 * MIB, to: 768 * MIB };
      expect(diff?.added).toEqual([]);
      expect(diff?.removed.map(({ kind, key }) => `${kind} ${key}`)).toEqual([
        `adapter ${SECOND_MAC}`,
        'pci 0000:00:05.0',
      ]);
      expect(diff?.changed).toEqual([
        { ...bytes, key: 'total' },
        ...(rig === 'x86' ? [{ ...bytes, key: 'B0/SLOT 0' }] : []),
      ]);
    },
    BOOTED,
  );
});
