/** Local stores on the simulated lab's machines: a definition survives what a chip survives. */
import { expect, test } from 'vitest';
import { DEVICE_SIZE } from '../../agent/linux/eeprom.ts';
import { openLocalDisk } from '../../agent/linux/local-disk.ts';
import { openLocalStore } from '../../agent/linux/local-store.ts';
import type { LocalStore } from '../../agent/protocol/definition.ts';
import { SimulatedChip } from '../../firmware-stubs/simulated/lab/chip.ts';
import { SimulatedDisk } from '../../firmware-stubs/simulated/lab/disk.ts';
import type { DiskSource } from '../../firmware-stubs/simulated/lab/keeper.ts';
import { Life } from '../../firmware-stubs/simulated/lab/life.ts';
import { SimulatedMachine } from '../../firmware-stubs/simulated/lab/machine.ts';
import { VirtualTime } from '../../firmware-stubs/simulated/lab/time.ts';
import { definitionOf, uuid } from './definitions.ts';

const STOPS = [1, 16, 100, 180];

/** A node whose power goes after so many deeds of the boot that is called `boot`. */
class Node {
  readonly #time = new VirtualTime(() => 0.5);
  readonly chip = new SimulatedChip(DEVICE_SIZE, STOPS, () => {});
  deeds = 0;

  async boot(work: (store: NonNullable<ReturnType<typeof openLocalStore>>) => void, cutAfter = Infinity) {
    this.deeds = 0;
    const life = new Life(this.#time, () => {
      if (++this.deeds === cutAfter) life.end();
    });
    const board = {
      ...{ uid: '', mac: '', commandLine: '', bootId: '', random: () => 0.5 },
      ...{ life, store: this.chip.opened(life) },
    };
    const machine = new SimulatedMachine(board, {
      disks: {} as DiskSource,
      connect: () => Promise.reject(new Error('no network')),
      ask: () => Promise.resolve(undefined),
      print: () => {},
      ended: () => {},
    });
    work(openLocalStore(machine, { layout: 'uboot-env', device: '/dev/vda' })!);
    await this.#time.run(this.#time.now() + 1000, () => false);
  }

  async clusters(): Promise<string[]> {
    let found: string[] = [];
    await this.boot((store) => {
      found = store.read().definitions.map(({ id }) => id);
    });
    return found;
  }
}

test('the power cut at any of its writes leaves the former definition or the new one, and the next boot mends it', async () => {
  const whole = new Node();
  await whole.boot((store) => store.define(definitionOf(1)));
  const { deeds } = whole;
  expect(deeds).toBe(2 * (STOPS.length + 1));
  const seen = new Set<string>();
  for (let cut = 1; cut <= deeds; cut++) {
    const node = new Node();
    await node.boot((store) => store.define(definitionOf(1)));
    await node.boot((store) => store.define(definitionOf(1, 1)), cut);
    const [id, more] = await node.clusters();
    expect([uuid(0x1001), uuid(0x1002)]).toContain(id);
    expect(more).toBeUndefined();
    seen.add(id!);
    await node.boot((store) => store.define(definitionOf(1, 1)));
    expect(await node.clusters()).toEqual([uuid(0x1002)]);
  }
  expect(seen.size).toBe(2);
});

/**
 * What `work` comes to on a machine whose root disk is `disk`, called `name`; then the power goes. `kept`: whether the kernel had
 * written by itself what was not synced.
 */
async function onDisk<T>(disk: SimulatedDisk, name: string, work: (store: LocalStore) => T, kept = false) {
  const time = new VirtualTime(() => 0.5);
  const life = new Life(time, () => {});
  const lines: string[] = [];
  const board = {
    ...{ uid: '', mac: '', commandLine: '', bootId: '', random: () => 0.5 },
    ...{ life, store: new SimulatedChip(DEVICE_SIZE, [], () => {}).opened(life) },
  };
  const machine = new SimulatedMachine(board, {
    disks: { attach: async () => disk, clear: async () => {} },
    connect: () => Promise.reject(new Error('no network')),
    ask: () => Promise.resolve(undefined),
    print: (line) => lines.push(line),
    ended: () => {},
  });
  machine.startSelf(['keeper', '0', name, '10.77.0.1']);
  await time.run(time.now() + 1000, () => false);
  machine.switchRoot();
  const result = work(openLocalDisk(machine, name));
  await time.run(time.now() + 1000, () => false);
  machine.lose(() => kept);
  return { result, said: lines.join('\n') };
}

test('a node on its disk keeps its definition over the loss of power; one on a copy of that disk forgets whose it was', async () => {
  const disk = new SimulatedDisk();
  const defined = await onDisk(disk, 'n1-root', (store) => {
    store.define(definitionOf(1));
    store.point({ current: uuid(1), target: null });
    return store.read();
  });
  expect(defined.result).toEqual({ definitions: [definitionOf(1)], current: uuid(1), target: null });
  const again = await onDisk(disk, 'n1-root', (store) => store.read());
  expect(again).toEqual({ result: defined.result, said: '' });
  const copy = await onDisk(disk, 'n2-root', (store) => store.read());
  expect(copy.result).toEqual({ definitions: [], current: null, target: null });
  expect(copy.said).toContain('disk n2-root is a copy of n1-root: whose node that was is forgotten here');
  // Nothing of it is left, once the disk has it that the files are gone.
  expect((await onDisk(disk, 'n2-root', (store) => store.read(), true)).said).toBe('');
  expect(disk.mounted(new Life(new VirtualTime(() => 0.5), () => {})).paths()).not.toContainEqual(
    expect.stringMatching(/\/key$/),
  );
});
