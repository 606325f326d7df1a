/**
 * A node that finds no imager to talk to: it boots from what its disk knows, works, and tells later what it did, complete and
 * in order, over a power cut. The agent port alone is closed: firmware and kernel have their boot files and the disk of the
 * same machine. It is a node whose adapter is given another MAC and address, with an imager and without, while its disk is
 * attached over it.
 */
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AGENT_PORT } from '../../agent/protocol/messages.ts';
import type { BootEvent } from '../../imager/journal/event.ts';
import { Cluster } from '../support/cluster.ts';

const BOOTED = 240_000;
const WITHIN = { withinMs: BOOTED };
/** Longer than what is worth a step (agent/linux/link.ts). */
const DETACHED_MS = 12_000;
/** Of the adapter that the firmware knows as 52:54:00:77:00:11, 10.77.0.11. */
const SET_MAC = '02:00:00:77:00:50';

/** A service that says on the console when the disk has the last step of a boot: the power can be cut after that. */
const WATCH = `set -e
cat > /srv/watch <<'END'
#!/bin/sh
until tr -cd ' -~' < /var/lib/bootwright/report.cbor | sed 's/.*dtype//' | grep -q ready; do sleep 1; done
sync
echo the report is kept > /dev/console
END
chmod 755 /srv/watch
echo '::once:/srv/watch' >> /etc/inittab
echo site > /srv/www/index.html
sync
`;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.open({
    rig: 'arm64',
    nodes: ['n1'],
    images: ['alpha'],
    adapters: { n1: [{ setMac: SET_MAC, address: '10.77.0.50/24' }] },
    userConfig: {
      secondReboot: false,
      scripts: [{ name: '10-watch', stage: 2, content: WATCH }],
    },
  });
});
afterAll(() => cluster?.close());

/** The node is where its definition has it, and no longer where its firmware had it. */
async function hasMoved(): Promise<void> {
  const { space } = cluster.lab;
  expect(await space.check(['ip', 'neighbour', 'show', '10.77.0.50'])).toContain(SET_MAC);
  const former = () => space.check(['ping', '-q', '-c', '1', '-W', '1', '10.77.0.11']);
  await expect
    .poll(() =>
      former().then(
        () => 'answers',
        () => 'silent',
      ),
    )
    .toBe('silent');
}

/** The imager's machine takes no more packets that fit one of the matches. */
async function close(...matches: string[]): Promise<void> {
  const rules = matches.map((match) => `add rule inet closed input ${match} drop`);
  const chain = 'add chain inet closed input { type filter hook input priority 0; }';
  await cluster.lab.space.check(['nft', ['add table inet closed', chain, ...rules].join('; ')]);
}

const closeAgentPort = () => close(`tcp dport ${AGENT_PORT}`, `udp dport ${AGENT_PORT}`);

const openAgentPort = () => cluster.lab.space.check('nft delete table inet closed'.split(' '));

/** What was said of a step, wherever it was heard: its name and the seconds since the kernel started. */
const word = (step: unknown, { detail }: BootEvent) => `${String(step)} ${String(detail?.uptime)}`;

it(
  'works without an imager, over a power cut, and reports complete and in order when it is back',
  async () => {
    const node = cluster.nodes[0]!;
    await node.powerOn();
    await node.waitForStep('ready', WITHIN);
    const heard = async () =>
      (await cluster.imagerEvents('n1')).filter(({ component }) => component === 'agent');
    await expect.poll(async () => (await heard()).at(-1)?.step).toBe('ready');
    expect((await heard()).filter(({ step }) => step.startsWith('network'))).toMatchObject([
      { address: '10.77.0.50', detail: { adapter: 'eth0', mac: SET_MAC, address: '10.77.0.50/24' } },
    ]);
    await hasMoved();
    await node.cutPower();
    await closeAgentPort();
    const before = (await heard()).length;

    const steps: string[][] = [];
    for (const cut of [true, false]) {
      await node.powerOn();
      const { detail } = await node.waitForStep('ready', WITHIN);
      expect(await cluster.get('http://10.77.0.50/')).toBe('site\n');
      const { at: alone } = await node.waitForLine(/no imager welcomes this node/, WITHIN);
      if (cut) {
        await node.waitForLine(/^the report is kept/, WITHIN);
        await node.cutPower();
      } else await setTimeout(alone + DETACHED_MS - Date.now());
      const own = node
        .events()
        .filter((event) => event.component === 'agent' && event.detail?.boot === detail?.boot)
        // Said on the console before there is anything to report to.
        .filter(({ step }) => step !== 'agent');
      steps.push(own.map((event) => word(event.step, event)));
    }
    const silent = (await heard()).slice(before).map(({ step }) => step);
    expect(silent.filter((step) => step !== 'disconnect' && step !== 'lost')).toEqual([]);

    await openAgentPort();
    await node.waitForStep('detached', WITHIN);
    await expect.poll(async () => (await heard()).at(-1)?.step).toBe('detached');
    const told = (await heard())
      .slice(before)
      .filter(({ step }) => !/^(disconnect|lost|adapter)$/.test(step));
    expect(told[0]).toMatchObject({ step: 'hello' });
    const earlier = told.filter(({ step }) => step === 'earlier');
    expect(earlier.map((event) => word(event.detail?.step, event))).toEqual(steps[0]);
    const present = told.slice(1 + earlier.length);
    expect(present.map((event) => word(event.step, event)).slice(0, -1)).toEqual(steps[1]);
    expect(present.at(-1)).toMatchObject({ step: 'detached', detail: { imager: '10.77.0.1' } });
    await hasMoved();
    expect(await cluster.json('node', 'show', 'n1')).toMatchObject({ pointer: { phase: 'ready' } });
    // It has connected anew in its first boot.
    expect((await cluster.imagerEvents('n1')).map(({ step }) => step)).not.toContain('duplicate');
  },
  3 * BOOTED,
);

// In `make proofs`: it takes the 45 seconds that the agent waits.
if (process.env.BOOTWRIGHT_PUT_BACK !== undefined)
  it(
    'an address from which nobody is answered is put back, while the disk is attached',
    async () => {
      const node = cluster.nodes[0]!;
      const { space } = cluster.lab;
      await node.cutPower();
      await close('ip saddr 10.77.0.50');
      await node.powerOn();
      await node.waitForStep('ready', WITHIN);
      expect(node.serial()).toMatch(/step network-failed \S+ why=no imager answered for 45 s/);
      expect(await cluster.get('http://10.77.0.11/')).toBe('site\n');
      const neighbour = await space.check(['ip', 'neighbour', 'show', '10.77.0.11']);
      expect(neighbour).toContain('52:54:00:77:00:11');
      expect(node.serial()).not.toMatch(/I\/O error/);
    },
    BOOTED,
  );
