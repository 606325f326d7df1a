/** Power cut at the worst moments of a double reboot. */
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';

const BOOTED = 240_000;

/** Each script leaves one line in a file of its own for each time it ran to its end. */
const script = (name: string, stage: 1 | 2, body = '', run: 'once' | 'always' = 'once') => ({
  name,
  stage,
  run,
  content: `set -e\n${body}\necho "$BOOTWRIGHT_IMAGE" >> /srv/www/${name}.txt\nsync\n`,
});

describe('power cuts during the double reboot', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.open({
      rig: 'arm64',
      nodes: ['n1'],
      images: ['alpha'],
      userConfig: {
        secondReboot: true,
        scripts: [
          script('10-first', 1),
          script('20-slow', 1, 'echo half way > /dev/console; sleep 1'),
          script('30-each', 1, '', 'always'),
          script('50-last', 2),
        ],
      },
    });
  });
  afterAll(() => cluster?.close());

  it(
    'after each cut the node goes on where it was, and runs each finished script once',
    async () => {
      const node = cluster.nodes[0]!;
      const cutAt = async (moment: Promise<unknown>) => {
        await moment;
        await node.cutPower();
        expect(cluster.pointer(node)).toMatchObject({ image: 'alpha', phase: 'deploy' });
        await node.powerOn();
      };
      const within = { withinMs: BOOTED };
      const cutShort: string[] = [];
      node.onLine(({ text }) => {
        const [, name] = /step cut-short \S+ script=(\S+)/.exec(text) ?? [];
        if (name !== undefined) cutShort.push(name);
      });
      await node.powerOn();
      await cutAt(node.waitForStep('load', within));
      // Standing still in the middle of the load is no cut: the transfer waits, and does not flood what wakes up.
      await node.waitForLine(/^\s*(?:Loading: \*)?#{60}/, within);
      node.pause();
      await setTimeout(3000);
      node.resume();
      await cutAt(node.waitForStep('mounted', within));
      await cutAt(node.waitForStep('reboot', within));
      await cutAt(node.waitForLine(/^half way/, within));
      await cutAt(node.waitForStep('services', within));
      await node.waitForStep('ready', within);
      expect(cluster.pointer(node)).toMatchObject({ image: 'alpha', phase: 'ready', fallback: 'alpha' });
      const counts = await Promise.all(
        ['10-first', '20-slow', '50-last', '30-each'].map((name) =>
          cluster.get(`http://10.77.0.11/${name}.txt`),
        ),
      );
      // The last of them runs in each boot that comes to its stage: between the two reboots, and in those that start services.
      expect(counts).toEqual(['alpha\n', 'alpha\n', 'alpha\n', 'alpha\n'.repeat(3)]);
      expect(cutShort).toEqual(['20-slow']);
      const left = await cluster.json<{ script: string; code: number; stage: number }[]>(
        'node',
        'output',
        'n1',
      );
      expect(left.map(({ script, code }) => `${script} ${code}`).sort()).toEqual([
        ...['10-first 0', '20-slow 0', '30-each 0', '50-last 0'],
      ]);
    },
    BOOTED,
  );
});
