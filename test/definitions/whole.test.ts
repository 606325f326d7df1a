/**
 * A real imager and real agents as processes, one of which is killed (SIGKILL) between any two messages of a define, of a join in
 * each of the four scenarios (seed 002, figure 11), and of an undefine. When it is up again and both have settled, the two
 * stores are read from the disk and compared.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { LocalFolder } from '../../agent/linux/local-folder.ts';
import { NodeHost } from '../../agent/node/host.ts';
import type { Definition } from '../../agent/protocol/definition.ts';
import type { GlobalDefinition } from '../../imager/definitions/definition.ts';
import type { NodeDetails } from '../../imager/model/views.ts';
import { LmdbRegistry } from '../../imager/registry/lmdb.ts';
import { type AgentProcess, buildAgentsFirst, type Runtime, startAgent } from '../support/agent-process.ts';
import { bundle } from '../support/inside.ts';
import { RecordProxy } from '../support/record-proxy.ts';

const NODES = 360;
/** Of the places where a process can be killed every so manyth; 1: all. */
const STRIDE = Number(process.env.BOOTWRIGHT_DEFINITION_STRIDE ?? 11);
const SETTLE = { timeout: 60_000, interval: 20 };

const dir = mkdtempSync(join(tmpdir(), 'definitions-'));
const configuration = join(dir, 'imager.yaml');
const addressOf = (index: number) => `127.0.${1 + Math.floor(index / 250)}.${1 + (index % 250)}`;
const wires: RecordProxy[] = [];
let program: string;
let imager: ChildProcess | undefined;
let ports = { http: 0, agent: 0 };

buildAgentsFirst();
beforeAll(async () => {
  program = await bundle('imager/cli/main.ts');
  const nodes = Array.from({ length: NODES }, (_, at) => {
    const [name, address] = [`n${at + 1}`, addressOf(at + 1)];
    // Known by where it is: by neither UID nor MAC.
    return `  - { name: ${name}, clientId: "client ${at + 1}", address: ${address} }\n`;
  });
  writeFileSync(
    configuration,
    `state: ./state
cluster: demo
network: { address: 127.0.0.1, prefix: 8 }
ports: { tftp: 0, http: 0, nbd: 0, agent: 0 }
dhcp: { mode: off }
nodes:
${nodes.join('')}`,
  );
  await startImager();
}, 120_000);
afterAll(async () => {
  for (const wire of wires) wire.close();
  await killImager();
  rmSync(dir, { recursive: true, force: true });
});

async function startImager(): Promise<void> {
  const words = ['--enable-source-maps', program, 'serve', '--config', configuration, '--log-level', 'error'];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  imager = child;
  const line = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
      if (text.includes('ready ') && text.endsWith('\n')) resolve(text);
    });
    child.once('exit', (code) => reject(new Error(`the imager ended with ${code}`)));
  });
  const port = (service: string) => Number(new RegExp(`${service}=[^ ]*:(\\d+)`).exec(line)![1]);
  ports = { http: port('http'), agent: port('agent') };
  for (const wire of wires) wire.to(ports.agent);
}

async function killImager(): Promise<void> {
  const child = imager!;
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

/** One configured node, with its store, its UID and a wire of its own to the imager. */
class Node {
  readonly name: string;
  readonly state: string;
  readonly wire: RecordProxy;
  readonly #runtime: Runtime;
  #agent: AgentProcess | undefined;

  private constructor(index: number, wire: RecordProxy, runtime: Runtime) {
    this.name = `n${index}`;
    this.state = join(dir, this.name);
    this.wire = wire;
    this.#runtime = runtime;
    mkdirSync(this.state);
    this.hardware(this.name);
  }

  static async make(runtime: Runtime): Promise<Node> {
    const index = wires.length + 1;
    const wire = await RecordProxy.open(addressOf(index));
    wire.to(ports.agent);
    wires.push(wire);
    return new Node(index, wire, runtime);
  }

  /** It has this UID from the next start on. */
  hardware(serial: string): void {
    writeFileSync(join(this.state, 'uid'), `serial:${serial}\n`);
  }

  async start(): Promise<void> {
    this.#agent = await startAgent(this.#runtime, [
      ...['supervise', '--imager', `127.0.0.1:${this.wire.port}`, '--state', this.state],
      ...['--uid-file', join(this.state, 'uid')],
    ]);
  }

  async kill(): Promise<void> {
    this.#agent?.kill('SIGKILL');
    await this.#agent?.ended;
    this.#agent = undefined;
  }

  async view(): Promise<NodeDetails> {
    const response = await fetch(`http://127.0.0.1:${ports.http}/api/nodes/${this.name}`);
    return (await response.json()) as NodeDetails;
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
    await new Promise<void>((resolve, reject) => {
      const sent = request(
        {
          ...{ socketPath: join(dir, 'state/control.sock'), method: 'POST', agent: false },
          ...{ path: `/control/nodes/${this.name}/${verb}`, headers: { 'content-type': 'application/json' } },
        },
        (response) => {
          response.resume();
          response.once('end', resolve);
          response.once('error', reject);
        },
      );
      sent.once('error', reject);
      sent.end('{}');
    });
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
const replace = (node: Node) => node.hardware(`${node.name}-replaced`);
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
async function play(story: Story, who: 'imager' | 'agent', at: number, runtime: Runtime) {
  const node = await Node.make(runtime);
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
      const { node, never } = await play(story, who, at, 'quickjs');
      settled.push({ node, what: `${who} killed at ${at}`, refused: story.refused });
      if (never) break;
    }
  expect(settled.length).toBeGreaterThan(2);
  await compare(settled);
});
