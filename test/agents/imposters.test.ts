/** Real agents, on both runtimes, at a real endpoint: one that is defined, those who would be it, and that keys are never said. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEVICE_SIZE } from '../../agent/linux/eeprom.ts';
import { openLocalFolder } from '../../agent/linux/local-folder.ts';
import { NodeHost } from '../../agent/node/host.ts';
import type { Admissions } from '../../imager/agents/admissions.ts';
import type { AgentServer } from '../../imager/agents/server.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { type AgentProcess, buildAgentsFirst, RUNTIMES, startAgent } from '../support/agent-process.ts';
import { runAgent } from '../support/agent-verbs.ts';
import { EventLog } from '../support/event-log.ts';
import { eventually } from '../support/eventually.ts';
import { formsOf } from '../support/key-forms.ts';
import { admissionsOf } from './admissions.ts';
import { startEndpoint } from './endpoint.ts';

const ADDRESS = '127.0.0.1';
const node = (number: number) => ({
  name: `node${number}`,
  hostname: `node${number}`,
  uid: `serial:n${number}`,
});

let folder: string;
let server: AgentServer;
let admissions: Admissions;
let log: string;
let told: EventLog;

buildAgentsFirst();
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bootwright-imposters-'));
  told = new EventLog();
  log = '';
  const registry = new MemoryRegistry();
  admissions = await admissionsOf(registry, ['node1', 'node2']);
  server = await startEndpoint(registry, told.sink, {
    admissions,
    nodes: new NodeIndex([node(1), node(2)]),
    log: pino(
      { level: 'trace' },
      {
        write(line: string) {
          log += line;
        },
      },
    ),
  });
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** An agent that says it is `uid` and has the local store `state`. */
function agent(
  runtime: (typeof RUNTIMES)[number],
  uid: string,
  state: string,
  ...more: string[]
): Promise<AgentProcess> {
  const file = join(folder, `${uid.slice(-2)}.uid`);
  writeFileSync(file, `${uid}\n`);
  const at = ['--imager', `${ADDRESS}:${server.port}`, '--state', join(folder, state), '--uid-file', file];
  return startAgent(runtime, ['supervise', ...at, ...more]);
}

/** An agent that has been taken in, and nobody before it. */
async function definedAgent(runtime: (typeof RUNTIMES)[number]): Promise<AgentProcess> {
  told.events.length = 0;
  const started = await agent(runtime, 'serial:n1', 'state');
  await told.seen('supervise');
  return started;
}

/** Only while nobody writes there: the agent replaces files, and what a listing has may be gone before it is read. */
function copyStore(): void {
  cpSync(join(folder, 'state'), join(folder, 'copied'), { recursive: true });
}

async function end(process: AgentProcess): Promise<void> {
  process.kill('SIGTERM');
  await process.ended;
}

const keyOf = (name: string): Uint8Array => admissions.definitions.ofNode(name)!.key!;

describe.each(RUNTIMES)('the agent on %s', (runtime) => {
  it('is defined, comes again with its key, and nobody else comes as it', { timeout: 60_000 }, async () => {
    const first = await definedAgent(runtime);
    await end(first);
    copyStore();
    told.events.length = 0;
    const again = await agent(runtime, 'serial:n1', 'state');
    await told.seen(({ step, detail }) => step === 'hello' && detail?.by === 'key');
    // Another machine that says this UID, with nothing in its store.
    const stranger = await agent(runtime, 'serial:n1', 'empty');
    expect(await told.seen('refused')).toMatchObject({ reason: 'no-key' });
    await end(stranger);
    // One that has read all of its store but for the key.
    giveOtherKey(join(folder, 'copied'));
    const thief = await agent(runtime, 'serial:n1', 'copied');
    expect(await told.seen(({ reason }) => reason === 'wrong-key')).toMatchObject({ address: ADDRESS });
    await end(thief);
    expect(server.connected()).toMatchObject([{ node: 'node1' }]);
    const said = [first, again, stranger, thief].map((each) => each.output());
    await end(again);
    const all = `${said.join('')}${log}${JSON.stringify(told.events)}${JSON.stringify(server.stats())}`;
    for (const form of formsOf(keyOf('node1'))) expect(all).not.toContain(form);
    // The test would find it, where it is.
    const kept = contents(join(folder, 'state'));
    expect(formsOf(keyOf('node1')).some((form) => kept.includes(form))).toBe(true);
  });

  it('another with its key takes its place: it is told, and does not come back soon', async () => {
    await end(await definedAgent(runtime));
    copyStore();
    const first = await definedAgent(runtime);
    // While it looks for its resources it hears nothing, and who does not hang up within a second is taken for dead.
    await eventually(() => expect(server.stats()['received.resources']).toBe(2));
    const twin = await agent(runtime, 'serial:n1', 'copied');
    expect(await told.seen('duplicate')).toMatchObject({
      ...{ component: 'imager', node: 'node1', address: ADDRESS },
      detail: { addresses: `${ADDRESS}, ${ADDRESS}` },
    });
    await eventually(() =>
      expect(first.output()).toContain(
        `another agent has the place of node1, at ${ADDRESS}: this one tries again in 5 to 10 minutes`,
      ),
    );
    await Promise.all([first, twin].map(end));
    expect(told.events.filter(({ step }) => step === 'hello')).toHaveLength(2);
  });

  it.each(['--state', '--store'])(
    'its cluster has forgotten it: either side says what that is, and what it advises ends that (%s)',
    async (option) => {
      const eeprom = `uboot-env:${join(folder, 'eeprom')}`;
      const [place, pointer] =
        option === '--store' ? [eeprom, ['--pointer', eeprom]] : [join(folder, 'state'), []];
      writeFileSync(join(folder, 'eeprom'), new Uint8Array(DEVICE_SIZE));
      const first = await agent(runtime, 'serial:n1', 'state', ...pointer);
      await told.seen('supervise');
      await end(first);
      const entry = admissions.definitions.ofNode('node1')!;
      await admissions.definitions.remove(entry.id);
      await admissions.definitions.erased(entry.id);
      const lost = await agent(runtime, 'serial:n1', 'state', ...pointer);
      const why = (await told.seen(({ reason }) => reason === 'unknown-identity')).detail?.why;
      expect(why).toContain(`a node with an unknown definition from ${ADDRESS}: "${entry.id}"`);
      const advice = new RegExp(
        "does not know this node's definition in cluster demo, or has another key for it \\(tls.*\\)\\. .*: " +
          `end this agent first, .* then agent (local erase demo ${option} ${place})\n`,
      );
      await eventually(() => expect(lost.output()).toMatch(advice));
      const advised = advice.exec(lost.output())![1]!;
      expect((await runAgent(runtime, ...advised.split(' '))).err).toContain('is locked');
      await end(lost);
      expect(await runAgent(runtime, ...advised.split(' '))).toMatchObject({
        out: `${place}: this node is defined in no cluster\n`,
      });
      expect(log).toContain(`agent refused: a node with an unknown definition from ${ADDRESS}`);
    },
  );
});

/** The store of a node has another key than its cluster has. */
function giveOtherKey(dir: string): void {
  const store = openLocalFolder(new NodeHost(), dir);
  const definition = store.read().definitions[0]!;
  store.define({ ...definition, key: definition.key.map((byte) => byte ^ 1) });
}

function files(dir: string): string[] {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

function contents(dir: string): string {
  return files(dir)
    .map((path) => readFileSync(path, 'latin1'))
    .join('\n');
}
