/**
 * A real imager and real agents as processes, one of which is killed (SIGKILL) between any two messages of a define, of a join in
 * each of the four scenarios (seed 002, figure 11), and of an undefine. When it is up again and both have settled, the two
 * stores are read from the disk and compared.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { LocalFolder } from '../../agent/linux/local-folder.ts';
import { NodeHost } from '../../agent/node/host.ts';
import type { Definition } from '../../agent/protocol/definition.ts';
import type { GlobalDefinition } from '../../imager/definitions/definition.ts';
import type { NodeDetails } from '../../imager/model/views.ts';
import { LmdbRegistry } from '../../imager/registry/lmdb.ts';
import { type AgentProcess, buildAgentsFirst, startAgent, superviseWords } from '../support/agent-process.ts';
import { RecordProxy } from '../support/record-proxy.ts';
import { ON_LOOPBACK, Served } from '../support/served.ts';

const NODES = 360;
/** Of the places where a process can be killed every so manyth; 1: all. */
const STRIDE = Number(process.env.BOOTWRIGHT_DEFINITION_STRIDE ?? 11);
const SETTLE = { timeout: 60_000, interval: 20 };

const dir = mkdtempSync(join(tmpdir(), 'definitions-'));
const addressOf = (index: number) => `127.0.${1 + Math.floor(index / 250)}.${1 + (index % 250)}`;
const wires: RecordProxy[] = [];
let imager: Served;

buildAgentsFirst();
beforeAll(async () => {
  const nodes = Array.from({ length: NODES }, (_, at) => {
    const [name, address] = [`n${at + 1}`, addressOf(at + 1)];
    // Known by where it is: by neither UID nor MAC.
    return `  - { name: ${name}, clientId: "client ${at + 1}", address: ${address} }\n`;
  });
  writeFileSync(join(dir, 'imager.yaml'), `${ON_LOOPBACK}\nnodes:\n${nodes.join('')}`);
  await startImager();
}, 120_000);
afterAll(async () => {
  for (const wire of wires) wire.close();
  await imager?.stop('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

async function startImager(): Promise<void> {
  imager = await Served.start(dir);
  for (const wire of wires) wire.to(imager.ports.agent);
}

const killImager = () => imager.stop('SIGKILL');

/** One configured node, with its store, its UID and a wire of its own to the imager. */
class Node {
  readonly name: string;
  readonly state: string;
  readonly wire: RecordProxy;
  /** Of its hardware, as it is from the next start on. */
  uid: string;
  #agent: AgentProcess | undefined;

  private constructor(index: number, wire: RecordProxy) {
    this.name = `n${index}`;
    this.state = join(dir, this.name);
    this.wire = wire;
    this.uid = `serial:${this.name}`;
  }

  static async make(): Promise<Node> {
    const index = wires.length + 1;
    const wire = await RecordProxy.open(addressOf(index));
    wire.to(imager.ports.agent);
    wires.push(wire);
    return new Node(index, wire);
  }

  async start(): Promise<void> {
    this.#agent = await startAgent('quickjs', superviseWords(this.wire.port, this.state, this.uid));
  }

  async kill(): Promise<void> {
    this.#agent?.kill('SIGKILL');
    await this.#agent?.ended;
    this.#agent = undefined;
  }

  async view(): Promise<NodeDetails> {
    const { text } = await imager.get(`/api/nodes/${this.name}`);
    return JSON.parse(text) as NodeDetails;
  }

  /** Resolves once a hello since `after` has ended in the node being taken in, or refused for `reason`. */
  async settled(after: number, reason: string | undefined): Promise<void> {
    await vi.waitFor(() => this.check(after, reason), SETTLE);
  }

  /** Throws where that has not come about. */
  async check(after: number, reason: string | undefined): Promise<void> {
    const { connected, joined, refusals } = await this.view();
    const last = [joined ?? { at: 0 }, ...refusals].reduce((a, b) => (b.at > a.at ? b : a));
    expect(last.at).toBeGreaterThan(after);
    expect(['reason' in last ? last.reason : undefined, connected]).toEqual([reason, reason === undefined]);
  }

  async control(verb: 'define' | 'undefine'): Promise<void> {
    await imager.control(`/control/nodes/${this.name}/${verb}`, {});
  }

  local(): Definition[] {
    return new LocalFolder(new NodeHost(), this.state).read().definitions;
  }
}

interface Story {
  /** Brings a node that is connected and defined to where the story begins; its agent is up or not. */
  before?(node: Node): Promise<void>;
  /** What is cut short. */
  act(node: Node): Promise<unknown>;
  /** What is asked once more where the imager was killed, perhaps before it heard of it. */
  again?(node: Node): Promise<unknown>;
  /** Why the node is refused in the end. */
  refused?: string;
  /** The definition there was is the one there is in the end. */
  kept?: true;
  /** Nothing is defined before. */
  fresh?: true;
}

const away = async (node: Node, ...more: ((node: Node) => unknown)[]) => {
  await node.kill();
  for (const each of more) await each(node);
};
const undefine = (node: Node) => node.control('undefine');
const replace = (node: Node) => {
  node.uid += '-replaced';
};
const start = (node: Node) => node.start();

const STORIES: Record<string, Story> = {
  'define at the first hello': { act: start, fresh: true },
  'scenario 1, join': { before: (node) => away(node), act: start, kept: true },
  'scenario 2, deleted while it was away': {
    before: (node) => away(node, undefine),
    act: start,
    refused: 'not-defined',
  },
  'scenario 2, and wanted again': {
    before: (node) => away(node, undefine, (each) => each.control('define')),
    act: start,
  },
  'scenario 3, its hardware was replaced': {
    before: (node) => away(node, replace),
    act: start,
    kept: true,
  },
  'scenario 4, deleted and replaced': {
    before: (node) => away(node, undefine, replace),
    act: start,
    refused: 'not-defined',
  },
  // Whoever asked is cut off with the imager.
  'undefine while it is connected': {
    act: (node) => undefine(node).catch(() => {}),
    again: undefine,
    refused: 'not-defined',
  },
};

/** What both stores hold of the nodes that have settled; the imager is stopped meanwhile. */
async function compare(settled: { node: Node; what: string; refused: string | undefined }[]): Promise<void> {
  await killImager();
  const registry = await LmdbRegistry.open(join(dir, 'state/registry'));
  const definitions = registry.range<GlobalDefinition>(['definition']).map(({ value }) => value);
  const cluster = registry.get<{ id: string }>(['cluster'])!.id;
  await registry.close();
  for (const { node, what, refused } of settled) {
    const there = definitions.filter(({ name, state }) => name === node.name && state !== 'undefining');
    const here = node.local();
    if (refused !== undefined) {
      expect([what, here, there]).toEqual([what, [], []]);
      continue;
    }
    expect([what, there.length, here.length]).toEqual([what, 1, 1]);
    const { id, number, name, uid, key } = there[0]!;
    expect([what, there[0]!.state, there[0]!.correcting]).toEqual([what, 'defined', undefined]);
    expect([what, { ...here[0], key: Buffer.from(here[0]!.key) }]).toMatchObject([
      what,
      { id, number, name, uid, key: Buffer.from(key!), cluster: { id: cluster, name: 'demo' } },
    ]);
  }
  await startImager();
}

/** Plays the story with a kill of `who` at the `at`th record; gives the node, and whether that record never came. */
async function play(story: Story, who: 'imager' | 'agent', at: number) {
  const node = await Node.make();
  if (!story.fresh) {
    await node.start();
    await node.settled(0, undefined);
  }
  const definition = node.local()[0]?.id;
  await story.before?.(node);
  let killed: Promise<void> | undefined;
  let after = Date.now();
  node.wire.arm(at, () => {
    killed = who === 'imager' ? killImager() : node.kill();
    return killed;
  });
  await story.act(node);
  // Whichever comes first: it has settled, or somebody was killed.
  await vi.waitFor(async () => {
    if (killed === undefined) await node.check(after, story.refused);
  }, SETTLE);
  const never = node.wire.disarm();
  if (!never) {
    await killed;
    after = Date.now();
    if (who === 'imager') {
      await startImager();
      await story.again?.(node);
    } else await node.start();
    await node.settled(after, story.refused);
  }
  await node.kill();
  if (story.kept) expect(node.local()[0]?.id).toBe(definition);
  return { node, never };
}

/** Messages after which the other story has surely ended. */
const MOST = 24;

test.each(Object.entries(STORIES))('%s', { timeout: 600_000 }, async (name, story) => {
  const settled: Parameters<typeof compare>[0] = [];
  const stories = Object.keys(STORIES).indexOf(name);
  // Each story begins at another place, so that all of them come by even where most are left out.
  for (const who of ['imager', 'agent'] as const)
    for (let at = 1 + (stories % STRIDE); at < MOST; at += STRIDE) {
      const { node, never } = await play(story, who, at);
      settled.push({ node, what: `${who} killed at ${at}`, refused: story.refused });
      if (never) break;
    }
  expect(settled.length).toBeGreaterThan(2);
  await compare(settled);
});
