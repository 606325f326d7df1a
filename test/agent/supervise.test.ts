/** `agent supervise` on both runtimes: a process of this machine, a real imager's endpoint, real sockets. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEVICE_SIZE, openPointerStore } from '../../agent/linux/eeprom.ts';
import { openLocalFolder } from '../../agent/linux/local-folder.ts';
import { openLocalStore } from '../../agent/linux/local-store.ts';
import { lockStore } from '../../agent/linux/state-lock.ts';
import { NodeHost } from '../../agent/node/host.ts';
import { ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { parseSuperviseOptions } from '../../agent/verbs/supervise.ts';
import type { AgentServer } from '../../imager/agents/server.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { startEndpoint } from '../agents/endpoint.ts';
import { definitionOf } from '../local/definitions.ts';
import { buildAgentsFirst, RUNTIMES, startAgent, superviseWords } from '../support/agent-process.ts';
import { EventLog } from '../support/event-log.ts';
import { eventually } from '../support/eventually.ts';
import { startSecurePeers } from './host/secure-peers.ts';

const ADDRESS = '127.0.0.1';
const TARGET = { disks: ['d'], imagers: [ADDRESS], cluster: 'demo', deployment: 'd2' };

let folder: string;
/** Of the agent. */
let state: string;
let registry: MemoryRegistry;
let server: AgentServer;
let told: EventLog;

const start = (port: number) =>
  startEndpoint(registry, told.sink, { port, heartbeatSeconds: 0.2, lostMs: 800 });

buildAgentsFirst();
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bootwright-supervise-'));
  state = join(folder, 'state');
  writeFileSync(join(folder, 'eeprom'), new Uint8Array(ubootEnv.size));
  told = new EventLog();
  registry = new MemoryRegistry();
  server = await start(0);
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe.each(RUNTIMES)('agent supervise on %s', (runtime) => {
  const supervised = (...more: string[]) =>
    startAgent(runtime, [...superviseWords(server.port, state, 'serial:n1'), ...more]);

  it('says hello, ends in order on SIGTERM', { timeout: 60_000 }, async () => {
    const agent = await supervised('--pointer', `uboot-env:${join(folder, 'eeprom')}`);
    await told.seen('supervise');
    expect(await agent.end()).toBe(0);
    expect(agent.output()).toMatch(/^bootwright: step supervise \d+\.\d{3} runtime=/);
  });

  it('keeps its definition beside the boot pointer where there is room, and the chip locked', {
    timeout: 60_000,
  }, async () => {
    const device = join(folder, 'eeprom');
    writeFileSync(device, new Uint8Array(DEVICE_SIZE));
    const agent = await supervised('--pointer', `uboot-env:${device}`);
    await told.seen('hello');
    const host = new NodeHost();
    const { definitions } = openLocalStore(host, { layout: 'uboot-env', device })!.read();
    expect(definitions).toMatchObject([{ cluster: { name: 'demo' }, uid: 'serial:n1' }]);
    expect(existsSync(join(state, 'clusters'))).toBe(false);
    expect(() => lockStore(host, device)).toThrow('is locked');
    expect(await agent.end()).toBe(0);
    lockStore(host, device)();
  });

  it('says at its start that its store does not look like one', {
    timeout: 60_000,
  }, async () => {
    const disk = join(folder, 'disk');
    writeFileSync(disk, Buffer.alloc(65_536, 'partitions'));
    const agent = await supervised('--pointer', `uboot-env:${disk}`);
    await told.seen('hello');
    const why = `it is larger than an EEPROM of ${DEVICE_SIZE} bytes. Is it the EEPROM?`;
    expect(agent.output()).toContain(`bootwright: no flash will write ${disk}: ${why}`);
    expect(await agent.end()).toBe(0);
  });

  it('lets nobody restart its machine or flash a store it was not told of', { timeout: 60_000 }, async () => {
    const agent = await supervised();
    await told.seen('hello');
    await expect(server.power('node1', 'reboot')).rejects.toThrow('reboot: not allowed here (--allow-power)');
    await expect(server.flash('node1', { image: 'a', ...TARGET })).rejects.toThrow('no boot pointer store');
    agent.kill('SIGINT');
    expect(await agent.ended).toBe(0);
  });

  it('booted what its pointer named then, whatever that is flashed to before it reboots', {
    timeout: 60_000,
  }, async () => {
    const device = join(folder, 'eeprom');
    const flash = (image: string) =>
      openPointerStore(new NodeHost(), 'uboot-env', device).write({
        ...{ ...TARGET, image },
        ...{ phase: 'deploy', attempts: 3, fallback: '' },
      });
    flash('alpha');
    for (let time = 1; time <= 2; time++) {
      const agent = await supervised('--pointer', `uboot-env:${device}`);
      await told.seen('hello', time);
      flash('beta');
      expect(await agent.end()).toBe(0);
    }
    const booted = () =>
      told.events.filter(({ step }) => step === 'hello').map(({ detail }) => detail?.bootedImage);
    expect(booted()).toEqual(['alpha', 'alpha']);
    // Another boot.
    const kept = join(state, 'booted.json');
    writeFileSync(kept, readFileSync(kept, 'utf8').replace(/"bootId":"./, '"bootId":"?'));
    const agent = await supervised('--pointer', `uboot-env:${device}`);
    await told.seen('hello', 3);
    expect(booted()).toEqual(['alpha', 'alpha', 'beta']);
    expect(await agent.end()).toBe(0);
  });

  it('says of a port on which something else answers that it is no imager, and of no key', {
    timeout: 60_000,
  }, async () => {
    const { plain, certificate } = await startSecurePeers();
    for (const port of [plain, certificate]) {
      const agent = await startAgent(runtime, superviseWords(port, state, 'serial:n1'));
      await eventually(() => expect(agent.output()).toContain('no imager welcomes this node'));
      expect(agent.output()).toMatch(
        new RegExp(
          `imager ${ADDRESS}:${port}: what answers there is no imager, or none of this version \\(tls`,
        ),
      );
      expect(agent.output()).not.toMatch(/key of enrolment|agent local erase/);
      expect(await agent.end()).toBe(0);
    }
  });

  it('is there again when the imager is', { timeout: 60_000 }, async () => {
    const agent = await supervised();
    await told.seen('hello');
    const { port } = server;
    await server.close();
    server = await start(port);
    await told.seen('hello', 2);
    expect(await agent.end()).toBe(0);
  });

  it('its heartbeats say that it is alive; stopped, it is lost; and it comes back', {
    timeout: 60_000,
  }, async () => {
    const agent = await supervised();
    await told.seen('hello');
    await eventually(() => expect(server.stats()).toHaveProperty(['received.heartbeat']));
    expect(server.liveness('node1')).toMatchObject({ state: 'alive' });
    agent.kill('SIGSTOP');
    await told.seen('lost');
    expect(server.liveness('node1').state).toBe('lost');
    agent.kill('SIGCONT');
    await told.seen('hello', 2);
    expect(server.liveness('node1').state).toBe('alive');
  });

  it('enrols with the key of enrolment in the file it is told of', { timeout: 60_000 }, async () => {
    await server.close();
    server = await startEndpoint(registry, told.sink, { enrolmentKey: new Uint8Array(32).fill(0xab) });
    const file = join(folder, 'enrolment-key');
    writeFileSync(file, `${'ab'.repeat(32)}\n`, { mode: 0o600 });
    const enrolled = await supervised('--enrolment-key', file);
    await told.seen('hello');
    expect(await enrolled.end()).toBe(0);
    for (const [content, mode, words] of [
      ['', 0o600, `${file} holds no key of 64 hexadecimal digits (openssl rand -hex 32)`],
      ['ab'.repeat(31), 0o600, `${file} holds no key of 64 hexadecimal digits (openssl rand -hex 32)`],
      ['ab'.repeat(32), 0o644, `every user may read or write ${file} (mode 644): chmod 600 ${file}`],
      [undefined, 0, `there is no file ${file}`],
    ] as const) {
      rmSync(file, { force: true });
      if (content !== undefined) writeFileSync(file, content, { mode });
      const refused = await supervised('--enrolment-key', file);
      expect(await refused.ended).toBe(1);
      expect(refused.output()).toBe(`agent: key of enrolment: ${words}\n`);
    }
    const misnamed = await supervised('--enrolment-key', folder);
    expect(await misnamed.ended).toBe(1);
    expect(misnamed.output()).toBe(`agent: key of enrolment: ${folder} is a folder, not a file\n`);
  });

  it('says what is wrong with its command line, and with this node', { timeout: 60_000 }, async () => {
    const ends = async (...args: string[]) => {
      const agent = await startAgent(runtime, args);
      return { code: await agent.ended, output: agent.output(), complaints: agent.complaints() };
    };
    expect(await ends('supervise', '--help')).toMatchObject({
      ...{ code: 0, complaints: '' },
      output: expect.stringContaining('Exit codes:'),
    });
    const words = 'agent: imager "nowhere" is not ADDRESS or ADDRESS:PORT\n';
    expect(await ends('supervise', '--imager', 'nowhere')).toEqual({
      code: 2,
      output: words,
      complaints: words,
    });
    const uid = join(folder, 'none');
    expect(await ends('supervise', '--imager', ADDRESS, '--uid-file', uid)).toMatchObject({
      code: 1,
      complaints: expect.stringContaining(uid),
    });
    for (const [text, why] of [
      ['node 1\n', 'it is no UUID'],
      ['SERIAL:a b', 'a serial number of a UID has 1 to 63 of a-z 0-9 . _ : -'],
    ] as const) {
      writeFileSync(uid, text);
      const words = `agent: ${uid} holds no UID (${why}): one is a UUID, or serial:TEXT`;
      expect(await ends('supervise', '--imager', ADDRESS, '--uid-file', uid)).toMatchObject({
        code: 1,
        complaints: `${words}\n`,
      });
    }
    // Of a definition whose key is damaged, too: nothing is asked of an imager.
    openLocalFolder(new NodeHost(), state).define(definitionOf(1));
    const key = join(state, 'clusters', definitionOf(1).cluster.id, '1/key');
    for (const file of [key, join(state, 'clusters/index.json')]) {
      writeFileSync(file, 'x');
      const { code, complaints } = await ends(...superviseWords(server.port, state, 'serial:n1'));
      expect(code).toBe(1);
      expect(complaints).toContain(`agent: ${file} is damaged: `);
      expect(complaints).toContain(`; \`agent local erase --all --state ${state}\` forgets everything`);
    }
  });
});

it.each([
  [[], 'no --imager'],
  [['--imager'], '--imager: a value is missing'],
  [['--imager', '10.0.0.1:0'], 'is not ADDRESS or ADDRESS:PORT'],
  [['--imager', '10.0.0.1:70000'], 'is not ADDRESS or ADDRESS:PORT'],
  [['--imager', '10.0.0.1:1:2'], 'is not ADDRESS or ADDRESS:PORT'],
  [['--pointer', 'eeprom'], '--pointer eeprom: expected KIND:PATH, KIND one of uboot-env, '],
  [['--loud'], '"--loud" is no option of supervise'],
])('%j: %s', (args, words) => {
  expect(() => parseSuperviseOptions(args)).toThrow(words);
});
