/** Real agents, on both runtimes, at a real endpoint: one that is defined, those who would be it, and that keys are never said. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEVICE_SIZE } from '../../agent/linux/eeprom.ts';
import { openLocalFolder } from '../../agent/linux/local-folder.ts';
import { NodeHost } from '../../agent/node/host.ts';
import type { Admissions } from '../../imager/agents/admissions.ts';
import type { AgentServer } from '../../imager/agents/server.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import {
  type AgentProcess,
  buildAgentsFirst,
  RUNTIMES,
  type Runtime,
  startAgent,
  superviseWords,
} from '../support/agent-process.ts';
import { runAgent } from '../support/agent-verbs.ts';
import { EventLog } from '../support/event-log.ts';
import { eventually } from '../support/eventually.ts';
import { contentsOf } from '../support/folders.ts';
import { formsOf } from '../support/key-forms.ts';
import { admissionsOf } from './admissions.ts';
import { startEndpoint } from './endpoint.ts';

const ADDRESS = '127.0.0.1';

let folder: string;
let server: AgentServer;
let admissions: Admissions;
let log: string[];
let told: EventLog;

buildAgentsFirst();
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bootwright-imposters-'));
  told = new EventLog();
  log = [];
  const registry = new MemoryRegistry();
  admissions = await admissionsOf(registry, ['node1']);
  server = await startEndpoint(registry, told.sink, {
    admissions,
    log: pino({ level: 'trace' }, { write: (line: string) => void log.push(line) }),
  });
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** An agent of node1's hardware, with the state folder `state`. */
function agent(runtime: Runtime, state: string, ...more: string[]): Promise<AgentProcess> {
  const words = superviseWords(server.port, join(folder, state), 'serial:n1');
  return startAgent(runtime, [...words, ...more]);
}

/** An agent that has been taken in, and nobody before it. */
async function definedAgent(runtime: Runtime): Promise<AgentProcess> {
  told.events.length = 0;
  const started = await agent(runtime, 'state');
  await told.seen('supervise');
  return started;
}

/** Only while nobody writes there: the agent replaces files, and what a listing has may be gone before it is read. */
function copyStore(): void {
  cpSync(join(folder, 'state'), join(folder, 'copied'), { recursive: true });
}

describe.each(RUNTIMES)('the agent on %s', (runtime) => {
  it('is defined, comes again with its key, and nobody else comes as it', { timeout: 60_000 }, async () => {
    const first = await definedAgent(runtime);
    await first.end();
    copyStore();
    told.events.length = 0;
    const again = await agent(runtime, 'state');
    await told.seen(({ step, detail }) => step === 'hello' && detail?.by === 'key');
    // Another machine that says this UID, with nothing in its store.
    const stranger = await agent(runtime, 'empty');
    expect(await told.seen('refused')).toMatchObject({ reason: 'no-key' });
    await stranger.end();
    // One that has read all of its store but for the key.
    giveOtherKey(join(folder, 'copied'));
    const thief = await agent(runtime, 'copied');
    expect(await told.seen(({ reason }) => reason === 'wrong-key')).toMatchObject({ address: ADDRESS });
    await thief.end();
    expect(server.connected()).toMatchObject([{ node: 'node1' }]);
    const said = [first, again, stranger, thief].map((each) => each.output());
    await again.end();
    const all = `${said.join('')}${log.join('')}${JSON.stringify(told.events)}${JSON.stringify(server.stats())}`;
    const forms = formsOf(admissions.definitions.ofNode('node1')!.key!);
    for (const form of forms) expect(all).not.toContain(form);
    // The test would find it, where it is.
    const kept = contentsOf(join(folder, 'state'));
    expect(forms.some((form) => kept.includes(form))).toBe(true);
  });

  it('another with its key takes its place: it is told, and does not come back soon', async () => {
    await (await definedAgent(runtime)).end();
    copyStore();
    const first = await definedAgent(runtime);
    // While it looks for its resources it hears nothing, and who does not hang up within a second is taken for dead.
    await eventually(() => expect(server.stats()['received.resources']).toBe(2));
    const twin = await agent(runtime, 'copied');
    expect(await told.seen('duplicate')).toMatchObject({
      ...{ component: 'imager', node: 'node1', address: ADDRESS },
      detail: { addresses: `${ADDRESS}, ${ADDRESS}` },
    });
    await eventually(() =>
      expect(first.output()).toContain(
        `another agent has the place of node1, at ${ADDRESS}: this one tries again in 5 to 10 minutes`,
      ),
    );
    await Promise.all([first.end(), twin.end()]);
    expect(told.events.filter(({ step }) => step === 'hello')).toHaveLength(2);
  });

  it.each(['--state', '--store'])(
    'its cluster has forgotten it: either side says what that is, and what it advises ends that (%s)',
    async (option) => {
      const eeprom = `uboot-env:${join(folder, 'eeprom')}`;
      const [place, pointer] =
        option === '--store' ? [eeprom, ['--pointer', eeprom]] : [join(folder, 'state'), []];
      writeFileSync(join(folder, 'eeprom'), new Uint8Array(DEVICE_SIZE));
      const first = await agent(runtime, 'state', ...pointer);
      await told.seen('supervise');
      await first.end();
      const entry = admissions.definitions.ofNode('node1')!;
      await admissions.definitions.remove(entry.id);
      await admissions.definitions.erased(entry.id);
      const lost = await agent(runtime, 'state', ...pointer);
      const why = (await told.seen(({ reason }) => reason === 'unknown-identity')).detail?.why;
      expect(why).toContain(`a node with an unknown definition from ${ADDRESS}: "${entry.id}"`);
      const advice = new RegExp(
        "does not know this node's definition in cluster demo, or has another key for it \\(tls.*\\)\\. .*: " +
          `end this agent first, .* then agent (local erase demo ${option} ${place})\n`,
      );
      await eventually(() => expect(lost.output()).toMatch(advice));
      const advised = advice.exec(lost.output())![1]!;
      expect((await runAgent(runtime, ...advised.split(' '))).err).toContain('is locked');
      await lost.end();
      expect(await runAgent(runtime, ...advised.split(' '))).toMatchObject({
        out: `${place}: this node is defined in no cluster\n`,
      });
      expect(log.join('')).toContain(`agent refused: a node with an unknown definition from ${ADDRESS}`);
    },
  );
});

/** The store of a node has another key than its cluster has. */
function giveOtherKey(dir: string): void {
  const store = openLocalFolder(new NodeHost(), dir);
  const definition = store.read().definitions[0]!;
  store.define({ ...definition, key: definition.key.map((byte) => byte ^ 1) });
}
