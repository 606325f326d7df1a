/** Time, wires and disks of the simulated lab. */
import { describe, expect, it } from 'vitest';
import { SimulatedDisk } from '../../firmware-stubs/simulated/lab/disk.ts';
import { Life } from '../../firmware-stubs/simulated/lab/life.ts';
import { type Fate, SimulatedNetwork, type StreamEnd } from '../../firmware-stubs/simulated/lab/network.ts';
import { scriptActs } from '../../firmware-stubs/simulated/lab/shell.ts';
import { VirtualTime } from '../../firmware-stubs/simulated/lab/time.ts';
import { randomFrom } from '../serial/virtual-line.ts';

const never = () => false;
const text = (bytes: Uint8Array | undefined) =>
  bytes === undefined ? undefined : new TextDecoder().decode(bytes);
const bytes = (value: string) => new TextEncoder().encode(value);

describe('virtual time', () => {
  it('does things in order of their times, and stands where it was told to', async () => {
    const time = new VirtualTime(randomFrom(1));
    const done: string[] = [];
    time.after(20, () => done.push(`b ${time.now()}`));
    time.after(10, () => done.push(`a ${time.now()}`));
    const cancel = time.after(15, () => done.push('cancelled'));
    time.after(40, () => done.push('late'));
    cancel();
    await time.run(30, never);
    expect(done).toEqual(['a 10', 'b 20']);
    expect(time.now()).toBe(30);
  });

  it('a seed decides the order of what is due at the same time', async () => {
    const order = async (seed: number) => {
      const time = new VirtualTime(randomFrom(seed));
      const done: number[] = [];
      for (let i = 0; i < 8; i++) time.after(5, () => done.push(i));
      await time.run(5, never);
      return done.join();
    };
    expect(await order(3)).toBe(await order(3));
    expect(new Set([await order(1), await order(2), await order(3)]).size).toBeGreaterThan(1);
  });

  it('what a program does without a pause can be stopped between any two things', async () => {
    const time = new VirtualTime(randomFrom(1));
    const done: string[] = [];
    const life = new Life(time, () => {});
    time.after(1, () => {
      life.does(() => done.push('first'));
      life.does(() => {
        done.push('second');
        life.end();
      });
      life.does(() => done.push('third'));
      life.after(1, () => done.push('later'));
    });
    await time.run(10, never);
    expect(done).toEqual(['first', 'second']);
  });
});

describe('a wire', () => {
  const open = async (fate: () => Fate) => {
    const time = new VirtualTime(randomFrom(1));
    const network = new SimulatedNetwork(time, fate);
    let other: StreamEnd | undefined;
    network.listen('10.77.0.1', {
      accept: (end) => {
        other = end;
        return true;
      },
      answer: () => undefined,
    });
    const connected = network.connect('n1', 'agent', '10.77.0.1', 2000);
    await time.run(100, never);
    return { time, network, mine: await connected, other: other! };
  };

  it('carries a stream in order, and its end after it', async () => {
    const { time, mine, other } = await open(() => ({ lost: false, delay: 5 }));
    mine.write(bytes('one '));
    mine.write(bytes('two'));
    mine.close();
    await time.run(200, never);
    expect([text(await other.read()), text(await other.read()), await other.read()]).toEqual([
      'one ',
      'two',
      undefined,
    ]);
  });

  it('sends again what was lost, and nothing twice', async () => {
    let lost = false;
    const { time, mine, other } = await open(() => ({ lost, delay: 0 }));
    lost = true;
    mine.write(bytes('one'));
    await time.run(1000, never);
    let read: string | undefined;
    void other.read().then((piece) => {
      read = text(piece);
    });
    await time.run(1100, never);
    expect(read).toBeUndefined();
    lost = false;
    mine.write(bytes('two'));
    await time.run(2000, never);
    expect([read, text(await other.read())]).toEqual(['one', 'two']);
  });

  it('a machine without power sends nothing again', async () => {
    let lost = false;
    const { time, mine, other } = await open(() => ({ lost, delay: 0 }));
    lost = true;
    mine.write(bytes('one'));
    await time.run(150, never);
    mine.vanish();
    lost = false;
    let read = false;
    void other.read().then(() => {
      read = true;
    });
    await time.run(5000, never);
    expect(read).toBe(false);
  });

  it('a connection is refused where nobody listens, and times out where nobody answers', async () => {
    const time = new VirtualTime(randomFrom(1));
    let lost = false;
    const network = new SimulatedNetwork(time, () => ({ lost, delay: 0 }));
    network.listen('10.77.0.1', { accept: () => false, answer: () => undefined });
    const refused = expect(network.connect('n1', 'agent', '10.77.0.1', 2000)).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
    const unknown = expect(network.connect('n1', 'agent', '10.77.0.9', 2000)).rejects.toMatchObject({
      code: 'ETIMEDOUT',
    });
    await time.run(1900, never);
    lost = true;
    const silent = expect(network.connect('n1', 'agent', '10.77.0.1', 2000)).rejects.toMatchObject({
      code: 'ETIMEDOUT',
    });
    await time.run(5000, never);
    await Promise.all([refused, unknown, silent]);
  });
});

describe('a disk', () => {
  /** Replaces FILE, and cuts the power after so many steps. */
  const cutAfter = async (steps: number, kept: boolean) => {
    const time = new VirtualTime(randomFrom(1));
    const disk = new SimulatedDisk();
    const first = new Life(time, () => {});
    disk.mounted(first).replace('/d/file', bytes('old'));
    await time.run(1, never);
    let left = steps;
    const life = new Life(time, () => {
      if (--left === 0) life.end();
    });
    const mounted = disk.mounted(life);
    mounted.replace('/d/file', bytes('new'));
    expect(text(mounted.read('/d/file'))).toBe('new');
    await time.run(2, never);
    disk.lose(() => kept);
    return text(disk.mounted(new Life(time, () => {})).read('/d/file'));
  };

  it('a file is replaced as a whole: until its name is synced the old one may be there', async () => {
    expect(await Promise.all([1, 2, 3, 4].map((steps) => cutAfter(steps, false)))).toEqual([
      'old',
      'old',
      'old',
      'new',
    ]);
    expect(await Promise.all([1, 2, 3, 4].map((steps) => cutAfter(steps, true)))).toEqual([
      'old',
      'old',
      'new',
      'new',
    ]);
  });
});

it('of a script the lines count that say something, wait or end it', () => {
  expect(
    scriptActs(
      '#!/bin/sh -e\n# sleep 9\n[ "$BOOTWRIGHT_IMAGE" = alpha ] || exit 4\necho half way > /dev/console; sleep 1.5\nmkdir -p /x && echo "done"\nexit 3\n',
    ),
  ).toEqual([
    { do: 'exit', code: 4, unless: 'alpha' },
    { do: 'say', text: 'half way', console: true },
    { do: 'sleep', milliseconds: 1500 },
    { do: 'say', text: 'done', console: false },
    { do: 'exit', code: 3 },
  ]);
});
