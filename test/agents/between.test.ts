/**
 * A whole imager and agents on both runtimes, with somebody between them who would have a node restarted, and who has hands on
 * the imager's files: what they do comes to nothing, both sides say so, and no key is said meanwhile.
 */
import { execFileSync } from 'node:child_process';
import { createHash, createPrivateKey } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { LocalFolder } from '../../agent/linux/local-folder.ts';
import { NodeHost } from '../../agent/node/host.ts';
import { encodeFrame } from '../../agent/protocol/frame.ts';
import type { LinuxImage } from '../../imager/images/image.ts';
import type { RecordedEvent } from '../../imager/journal/event.ts';
import {
  type AgentProcess,
  buildAgentsFirst,
  RUNTIMES,
  type Runtime,
  startAgent,
  superviseWords,
} from '../support/agent-process.ts';
import { eventually } from '../support/eventually.ts';
import { contentsOf, filesIn } from '../support/folders.ts';
import { asKernel } from '../support/kernels.ts';
import { formsOf } from '../support/key-forms.ts';
import { RecordProxy } from '../support/record-proxy.ts';
import { ON_LOOPBACK, Served } from '../support/served.ts';
import { NATIVE } from '../support/static-program.ts';

const WAIT = { timeout: 60_000, interval: 20 };
const SCRIPT = 'echo this-is-the-script-of-the-site';
/** What TLS 1.3 puts round a message (RFC 8446 section 5.2): header, content type, tag. */
const ROUND_RECORD = 5 + 1 + 16;
const REBOOT = encodeFrame({ type: 'power', request: 1, action: 'reboot' });

/** Files of the imager's state that have keys. */
const KEPT = /\/registry\/|\/signing-key.pem$/;
const VERBS = ['node show', 'node boots', 'pxe explain'];

const IMAGE = 'debian';
const DISK = 'site-root';

const dir = mkdtempSync(join(tmpdir(), 'between-'));
const programs = join(dir, 'bin');
const restarts = join(dir, 'restarts');
const wires: RecordProxy[] = [];
const consoles: AgentProcess[] = [];
const nodes = new Map<Runtime, Wired>();
let imager: Served;

buildAgentsFirst();
beforeAll(async () => {
  writeFileSync(
    join(dir, 'imager.yaml'),
    `${ON_LOOPBACK}
nodes:
  - { name: on-quickjs, uid: "serial:on-quickjs", address: 127.0.1.1, userConfig: site }
  - { name: on-node, uid: "serial:on-node", address: 127.0.1.2, userConfig: site }
userConfigs:
  site:
    scripts: [{ name: site.sh, stage: 2, file: site.sh }]
    services: { init: [/sbin/init], ports: [80] }
`,
  );
  writeFileSync(join(dir, 'site.sh'), SCRIPT);
  mkdirSync(programs);
  writeFileSync(join(programs, 'sync'), '#!/bin/sh\n', { mode: 0o755 });
  writeFileSync(join(programs, 'reboot'), `#!/bin/sh\necho restarted >> ${restarts}\n`, { mode: 0o755 });
  writeFileSync(restarts, '');
  imager = await Served.start(dir);
}, 120_000);
afterAll(async () => {
  for (const wire of wires) wire.close();
  await imager?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** A node, its store and the wire between it and the imager. */
class Wired {
  readonly name: string;
  readonly state: string;
  readonly pointer: string;
  readonly wire: RecordProxy;
  readonly #runtime: Runtime;

  private constructor(runtime: Runtime, wire: RecordProxy) {
    this.#runtime = runtime;
    this.name = `on-${runtime}`;
    this.state = join(dir, this.name);
    this.pointer = join(dir, `${this.name}.eeprom`);
    this.wire = wire;
  }

  static async make(runtime: Runtime): Promise<Wired> {
    const wire = await RecordProxy.open(runtime === 'quickjs' ? '127.0.1.1' : '127.0.1.2');
    wires.push(wire);
    wire.to(imager.ports.agent);
    const node = new Wired(runtime, wire);
    // A 24C16: no room for the definition, which the folder has then.
    writeFileSync(node.pointer, Buffer.alloc(2048, 0xff));
    return node;
  }

  /** Its agent. On Node it may restart the machine, which a program of the test does instead; the static one would call the kernel. */
  async start(): Promise<AgentProcess> {
    vi.stubEnv('PATH', `${programs}:${process.env.PATH}`);
    expect(String(execFileSync('sh', ['-c', 'command -v reboot'])).trim()).toBe(join(programs, 'reboot'));
    const agent = await startAgent(this.#runtime, [
      ...superviseWords(this.wire.port, this.state, `serial:${this.name}`),
      ...['--pointer', `eeprom:${this.pointer}`],
      ...(this.#runtime === 'node' ? ['--allow-power'] : []),
    ]);
    vi.unstubAllEnvs();
    consoles.push(agent);
    return agent;
  }

  /** Starts it twice: it is defined, and comes with its key. */
  async joined(): Promise<AgentProcess> {
    const first = await this.start();
    await this.seen(0, ({ step }) => step === 'supervise');
    await first.end();
    const agent = await this.start();
    await this.seen(0, byKey);
    return agent;
  }

  /** Resolves with the event of this node behind `after` that `is` one, once it is there. */
  seen(after: number, is: (event: RecordedEvent) => boolean): Promise<RecordedEvent> {
    return vi.waitFor(async () => {
      const found = (await imager.events(this.name, after)).find(is);
      if (found === undefined) throw new Error(`no such event of ${this.name}\n${consoles.at(-1)!.output()}`);
      return found;
    }, WAIT);
  }

  async lastEvent(): Promise<number> {
    return (await imager.events(this.name, 0)).at(-1)!.id;
  }
}

const byKey = ({ step, detail }: RecordedEvent): boolean => step === 'hello' && detail?.by === 'key';

describe.each(RUNTIMES)('the agent on %s', (runtime) => {
  test('is not restarted by commands that its imager did not give', { timeout: 120_000 }, async () => {
    const node = await Wired.make(runtime);
    nodes.set(runtime, node);
    const agent = await node.joined();
    const allowed = await imager.control(`/control/nodes/${node.name}/power`, { action: 'reboot' });
    if (runtime === 'node') {
      expect(allowed).toMatchObject({ status: 200 });
      await eventually(() => expect(readFileSync(restarts, 'utf8')).toBe('restarted\n'));
    } else expect(allowed.text).toContain('reboot: not allowed here');
    const command = node.wire.ofImager.findLast(({ length }) => length === REBOOT.length + ROUND_RECORD)!;
    const header = Buffer.from([23, 3, 3, REBOOT.length >> 8, REBOOT.length & 0xff]);
    const forged = {
      'the command that was recorded, again': command,
      'the command of an earlier connection': command,
      'a command in the clear': REBOOT,
      'a command in a record that nobody encrypted': Buffer.concat([header, REBOOT]),
    };
    for (const [what, bytes] of Object.entries(forged)) {
      const [after, said] = [await node.lastEvent(), agent.output().length];
      node.wire.inject(bytes);
      await node.seen(after, byKey);
      const told = await imager.events(node.name, after);
      expect([what, told.find(({ step }) => step === 'disconnect')]).toMatchObject([
        what,
        { component: 'agent', reason: 'tampered' },
      ]);
      expect([what, agent.output().slice(said)]).toEqual([
        what,
        expect.stringMatching(/^bootwright: imager 127.0.0.1:\d+: tls/m),
      ]);
      await node.seen(after, ({ step, detail }) => step === 'tampered' && /tls/.test(String(detail?.why)));
      expect(agent.output().slice(said)).not.toContain('not allowed');
    }
    expect(readFileSync(restarts, 'utf8')).toBe(runtime === 'node' ? 'restarted\n' : '');
  });
});

test('a node is not flashed with an image that somebody has changed', { timeout: 60_000 }, async () => {
  const node = nodes.get('quickjs')!;
  const kernel = asKernel(NATIVE, Buffer.alloc(700_000, 'kernel'));
  await imager.addImage(IMAGE, NATIVE, kernel);
  writeFileSync(join(dir, 'root.img'), Buffer.alloc(1024 * 1024, 'root'));
  await imager.do('/control/bases', { name: 'root', file: join(dir, 'root.img') });
  await imager.do('/control/disks', { name: DISK, base: 'root' });
  const before = await node.lastEvent();
  await node.start();
  await node.seen(before, byKey);
  await imager.do(`/control/nodes/${node.name}/flash`, { image: IMAGE, disks: [DISK] });
  await node.seen(before, ({ step }) => step === 'flash');
  await node.seen(before, ({ step }) => step === 'supervise');
  for (const verb of [
    ['pxe', 'explain'],
    ['node', 'boots'],
  ])
    expect((await imager.run(...verb, node.name)).stdout).toMatch(
      /its system is up; supervised since \S+ \S+Z$/m,
    );
  const [written, after] = [readFileSync(node.pointer), await node.lastEvent()];
  kernel[500_000]! ^= 1;
  writeFileSync(join(dir, 'state/images', IMAGE, 'kernel'), kernel);
  const refused = await imager.run('node', 'flash', node.name, '--image', IMAGE, '--disk', DISK);
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain(`image ${IMAGE} is not what was added: kernel has sha256`);
  const why = expect.stringMatching(/: kernel has sha256/);
  expect(await node.seen(after, ({ step }) => step === 'refused')).toMatchObject({
    ...{ component: 'imager', reason: 'tampered', detail: { image: IMAGE, why } },
  });
  // Nor with one whose entry says so, too: whoever has done that does not have the cluster's key.
  const entry = join(dir, 'state/images', IMAGE, 'image.json');
  const text = readFileSync(entry, 'utf8');
  const { sha256 } = (JSON.parse(text) as LinuxImage).files.kernel;
  writeFileSync(entry, text.replace(sha256, createHash('sha256').update(kernel).digest('hex')));
  const again = await node.lastEvent();
  const forged = await imager.run('node', 'flash', node.name, '--image', IMAGE, '--disk', DISK);
  expect(forged).toMatchObject({ code: 1, stdout: '' });
  expect(forged.stderr).toContain(`image ${IMAGE} is not what this cluster signed`);
  expect(await node.seen(again, ({ step }) => step === 'refused')).toMatchObject({
    ...{ component: 'imager', reason: 'tampered', detail: { image: IMAGE } },
  });
  expect(await imager.get(`/images/${IMAGE}/kernel`)).toMatchObject({ status: 500 });
  expect(await imager.run('image', 'list')).toMatchObject({
    stderr: expect.stringContaining('is not what this cluster signed'),
  });
  expect(readFileSync(node.pointer)).toEqual(written);
  // Who wants it so says so.
  const signed = await imager.run('image', 'sign', IMAGE);
  expect(signed).toMatchObject({ code: 0, stderr: '' });
  expect(signed.stdout).toContain(`debian: signed as it is, linux, for ${NATIVE}, arguments ""\n`);
  await imager.do(`/control/nodes/${node.name}/flash`, { image: IMAGE, disks: [DISK] });
});

test('the script of a plan is nowhere in the state of the imager: what it signs is what it was configured with', {
  timeout: 60_000,
}, async () => {
  const node = nodes.get('quickjs')!;
  const before = await node.lastEvent();
  await node.start();
  // It has a deployment by now, so that its welcome has a plan.
  const { detail } = await node.seen(before, byKey);
  expect(detail?.deployment).toMatch(/^[0-9a-f]{16}$/);
  expect(contentsOf(join(dir, 'state'))).not.toContain(SCRIPT);
});

test('no key is in what the imager says, shows and keeps, or on the console of an agent', {
  timeout: 60_000,
}, async () => {
  const routes = readRoutes();
  expect(routes.length).toBeGreaterThan(15);
  const state = join(dir, 'state');
  const told = [imager.said(), ...consoles.map((agent) => agent.output()), contentsOf(state, KEPT)];
  for (const wire of wires) told.push(Buffer.concat(wire.ofImager).toString('latin1'));
  for (const runtime of RUNTIMES) {
    const name = `on-${runtime}`;
    const names = { nodes: name, boots: name, images: IMAGE, disks: DISK, bases: 'root' };
    for (const route of routes) {
      const path = route.replace(/(\w+)\/:\w+/, (_, kind: keyof typeof names) => `${kind}/${names[kind]}`);
      const inside = route.startsWith('/control');
      const { status, text } = await (inside ? imager.control(path) : imager.get(path));
      // Both are in use: that is said instead of what would be lost.
      const expected = route.endsWith('/loss') ? 409 : 200;
      expect([path, status, text]).toEqual([path, expected, expect.stringMatching(/../)]);
      told.push(text);
    }
    told.push(contentsOf(join(dir, name), /\/key$/));
  }
  for (const verb of VERBS) {
    const { stdout, stderr } = await imager.run(...verb.split(' '), 'on-node');
    expect([verb, stdout]).toEqual([verb, expect.stringMatching(/../)]);
    told.push(stdout, stderr);
  }
  const all = told.join('\n');
  for (const { key, keptIn } of keys()) {
    const forms = formsOf(key);
    expect(forms.filter((form) => all.includes(form))).toEqual([]);
    // What finds nothing there finds it where it is.
    expect(forms.filter((form) => keptIn.includes(form))).not.toEqual([]);
  }
});

test('what has keys in it is for its owner alone', () => {
  const modes = (...paths: string[]) => paths.map((path) => statSync(path).mode & 0o777);
  const own = ['state', 'state/registry', 'state/signing-key.pem'].map((path) => join(dir, path));
  expect(modes(...own)).toEqual([0o700, 0o700, 0o600]);
  for (const runtime of RUNTIMES) {
    const stores = filesIn(join(dir, `on-${runtime}/clusters`));
    expect(stores.filter((path) => path.endsWith('/key'))).toHaveLength(1);
    expect(new Set(modes(...stores))).toEqual(new Set([0o600]));
  }
});

/** Paths of all GET routes there are, as the sources have them. */
function readRoutes(): string[] {
  const source = contentsOf(join(import.meta.dirname, '../../imager/http')).replace(
    /\$\{at\}/g,
    '/control/disks/:name',
  );
  return [...source.matchAll(/app\.get(?:<\w+>)?\(\s*['`]([^'`]+)/g)].map(([, path]) => path!);
}

/** Those of the nodes, and the one the cluster signs with. */
function keys(): { key: Uint8Array; keptIn: string }[] {
  const registry = contentsOf(join(dir, 'state/registry'));
  const nodes = RUNTIMES.map((runtime) => {
    const [definition] = new LocalFolder(new NodeHost(), join(dir, `on-${runtime}`)).read().definitions;
    return { key: definition!.key, keptIn: registry };
  });
  const pem = readFileSync(join(dir, 'state/signing-key.pem'), 'utf8');
  const { d } = createPrivateKey(pem).export({ format: 'jwk' });
  return [...nodes, { key: Buffer.from(d!, 'base64url'), keptIn: pem.replaceAll('\n', '') }];
}
