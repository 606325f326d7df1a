/**
 * Power cuts at random moments of whole deployments, from the power-on after a flash to `ready`, on a node whose configuration has
 * `CUT_SCRIPTS`: it gets ready each time, what `once` scripts do is there exactly once, and `always` ones ran as often as its boots
 * came to them.
 */
import { expect } from 'vitest';
import type { RigNode } from '../../firmware-stubs/rig/node.ts';
import { randomFrom } from '../serial/virtual-line.ts';
import type { Cluster } from './cluster.ts';
import { momentCame, momentOf } from './cuts.ts';

const BOOTED = { withinMs: 240_000 };

/** Its effect is a line for each deployment, and it bears to be run twice, as scripts must: its power may go after all it does. */
const once = (name: string, stage: 1 | 2) => ({
  ...{ name, stage, run: 'once' as const },
  content: `echo "begins ${name} $BOOTWRIGHT_DEPLOYMENT" > /dev/console
cd /srv/www
grep -sqx "$BOOTWRIGHT_DEPLOYMENT" ${name}.txt || echo "$BOOTWRIGHT_DEPLOYMENT" >> ${name}.txt
sync
echo "did ${name}"
`,
});

/** Its effect is a line for each run. */
const always = (name: string, stage: 1 | 2) => ({
  ...{ name, stage, run: 'always' as const },
  content: `read id < /proc/sys/kernel/random/boot_id
echo "begins ${name} $id" > /dev/console
echo "$BOOTWRIGHT_DEPLOYMENT $id" >> /srv/www/${name}.txt
sync
`,
});

export const CUT_SCRIPTS = [
  once('10-once', 1),
  always('20-each', 1),
  once('30-once', 1),
  once('50-once', 2),
  always('60-each', 2),
];

export interface DeploymentCutsOptions {
  cluster: Cluster;
  images: readonly [string, string];
  /** The same moments again. */
  seed: number;
  rounds: number;
  tell(line: string): void;
}

/** The cluster's first node, at rounds of flash, power cut, `ready`. Throws where something is not as it must be. */
export async function cutDeployments({
  cluster,
  images,
  seed,
  rounds,
  tell,
}: DeploymentCutsOptions): Promise<void> {
  const node = cluster.nodes[0]!;
  const random = randomFrom(seed);
  let lines: { text: string; sincePowerOn: number }[] = [];
  node.onLine((line) => lines.push(line));
  await node.powerOn();
  await node.waitForStep('ready', BOOTED);
  const undisturbed = lines.map(({ sincePowerOn }) => sincePowerOn);
  for (let round = 1; round <= rounds; round++) {
    const image = images[round % 2]!;
    await cluster.json('node', 'flash', node.name, '--image', image, '--disk', 'n1-root');
    await node.cutPower();
    lines = [];
    const { after, delay } = momentOf(undisturbed, random());
    const what = `seed ${seed}, round ${round}, cut after line ${after} and ${delay} ms`;
    const came = momentCame(node, after, delay);
    await node.powerOn();
    // A boot that has fewer lines than the first one had is cut when it is ready.
    await Promise.race([came, node.waitForStep('ready', BOOTED)]);
    await node.cutPower();
    const before = lines.at(-1)?.text;
    await node.powerOn();
    const ready = await node.waitForStep('ready', BOOTED);
    expect(ready.detail, what).toMatchObject({ image });
    await checkScripts(
      cluster,
      node,
      lines.map(({ text }) => text),
      what,
    );
    tell(`${what} (${JSON.stringify(before)}): ready in its boot ${node.boots}`);
  }
  tell(
    `seed ${seed}: ${rounds} deployments whose power was cut came to ready, each script as often as it must`,
  );
}

async function checkScripts(cluster: Cluster, node: RigNode, console: string[], what: string): Promise<void> {
  const deployment = cluster.pointer(node)?.deployment ?? '';
  const boots = bootsOf(console);
  for (const { name, run } of CUT_SCRIPTS) {
    const told = `${what}: ${name}\n${node.serial()}`;
    const file = (await cluster.get(`http://10.77.0.11/${name}.txt`)).trimEnd().split('\n');
    const effects = file.filter((line) => line.startsWith(deployment));
    const begun = boots.flatMap((boot) => boot.flatMap((line) => beginningOf(line, name)));
    const ended = boots.map((boot) => boot.some((line) => endOf(line, name)));
    if (run === 'once') {
      expect(effects, told).toEqual([deployment]);
      // After it was told to have ended well it never began again; the power may have gone just before that was told.
      const last = ended.indexOf(true);
      expect(ended.filter(Boolean).length, told).toBeLessThanOrEqual(1);
      for (const boot of last < 0 ? [] : boots.slice(last + 1))
        expect(boot.join('\n'), told).not.toContain(`begins ${name}`);
    } else {
      const ids = effects.map((line) => line.split(' ')[1]!);
      // Once in a boot at most, and in each of those boots that told of its end; in the last one for sure.
      expect(new Set(ids).size, told).toBe(ids.length);
      for (const id of ids) expect(begun, told).toContain(id);
      for (const [i, boot] of boots.entries()) {
        const id = boot.flatMap((line) => beginningOf(line, name))[0];
        if (ended[i]) expect(ids, told).toContain(id);
      }
      expect(ended.at(-1), told).toBe(true);
    }
  }
  const output = await cluster.json<{ script: string; code: number }[]>('node', 'output', node.name);
  expect(output.map(({ script, code }) => `${script} ${code}`).sort(), what).toEqual(
    CUT_SCRIPTS.map(({ name }) => `${name} 0`).sort(),
  );
}

/** The console from each start of a kernel's agent to the next. */
function bootsOf(console: readonly string[]): string[][] {
  const boots: string[][] = [];
  for (const line of console) {
    if (/bootwright: step agent /.test(line)) boots.push([]);
    boots.at(-1)?.push(line);
  }
  return boots;
}

function beginningOf(line: string, name: string): string[] {
  const [, id] = new RegExp(`begins ${name} (\\S+)`).exec(line) ?? [];
  return id === undefined ? [] : [id];
}

function endOf(line: string, name: string): boolean {
  return new RegExp(`bootwright: step stage[12] .*script=${name} `).test(line);
}
