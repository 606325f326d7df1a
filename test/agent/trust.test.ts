/** Plans and scripts are what the cluster signed, or nothing is done with them. */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Journal } from '../../agent/core/state.ts';
import { openJournal } from '../../agent/linux/journal.ts';
import { scriptRunner } from '../../agent/linux/scripts.ts';
import { encodeFrame } from '../../agent/protocol/frame.ts';
import { type Plan, parsePlan, type Script } from '../../agent/protocol/messages.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { planBytes } from '../../agent/protocol/signed.ts';
import { clusterSigner } from '../../imager/definitions/cluster-signer.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { openSigner, temporarySigner } from '../../imager/signing/signer.ts';
import { RootedHost } from '../fakes/rooted-host.ts';
import { definitionOf } from '../local/definitions.ts';

const STATE = 'var/lib/bootwright';
const JOURNAL: Journal = { deployment: 'd1', phase: 'installed', bootId: 'b1', done: [], failed: [] };
const signer = temporarySigner();
const definition = { ...definitionOf(1), signer: signer.point };
const me = { cluster: definition.cluster.id, node: definition.name };

const script = (content: string): Script => ({
  ...{ name: '10-site.sh', stage: 1, content, timeoutSeconds: 10, run: 'once', onFailure: 'retry' },
});
const plan = (content = 'echo ran\n', deployment = 'd1'): Plan => ({
  ...{ deployment, secondReboot: true, scripts: [script(content)] },
  services: { init: ['/sbin/init'], ports: [80], timeoutSeconds: 1.5 },
});
const signed = (what: Plan, to = me, by = signer): Plan => ({
  ...what,
  signature: by.sign(planBytes(to, what)),
});

let host: RootedHost;
beforeEach(() => {
  host = new RootedHost(mkdtempSync(join(tmpdir(), 'trust-')));
});
afterEach(() => rmSync(host.root, { recursive: true }));

const journal = (whose = () => definition as typeof definition | undefined) => openJournal(host, whose);

test('a signed plan is installed, and read back in the next boot', () => {
  journal().install(signed(plan()), JOURNAL);
  expect(journal().read('d1')).toMatchObject({ plan: plan(), journal: JOURNAL });
});

test.each([
  ['not signed', plan()],
  ['signed for another node', signed(plan(), { ...me, node: 'node2' })],
  ['signed for another cluster', signed(plan(), { ...me, cluster: definitionOf(2).cluster.id })],
  ['signed by somebody else', signed(plan(), me, temporarySigner())],
  ['a script changed on its way', { ...signed(plan()), scripts: [script('echo ran; echo owned\n')] }],
  [
    'a script moved to the other stage',
    { ...signed(plan()), scripts: [{ ...script('echo ran\n'), stage: 2 }] },
  ],
  ['another deployment', { ...signed(plan('echo ran\n', 'd0')), deployment: 'd1' }],
  ['a signature that is cut', { ...signed(plan()), signature: signed(plan()).signature!.subarray(1) }],
] as [string, Plan][])('a plan is not installed: %s', (_, what) => {
  expect(() => journal().install(what, JOURNAL)).toThrow(/^tampered: the plan is not/);
  expect(readdirSync(host.root)).toEqual([]);
});

test('a node without a definition takes a plan as it is; once it has one, no longer', () => {
  journal(() => undefined).install(plan(), JOURNAL);
  expect(journal(() => undefined).read('d1')).toBeDefined();
  expect(() => journal().read('d1')).toThrow('tampered: the plan is not signed');
});

test('a plan that was changed on the disk is not followed', () => {
  journal().install(signed(plan()), JOURNAL);
  const changed = { ...signed(plan()), scripts: [script('echo owned\n')] };
  writeFileSync(join(host.root, STATE, 'plan.cbor'), encodeFrame(changed));
  expect(() => journal().read('d1')).toThrow('tampered: the plan is not what lab1 signed for node1');
});

test('a script that was changed on the disk is not run, however often it has been', async () => {
  const pointer = { image: 'a', cluster: 'one', deployment: 'd1' } as BootPointer;
  journal().install(signed(plan()), JOURNAL);
  const file = join(host.root, STATE, 'scripts/10-site.sh');
  const one = script('echo ran\n');
  const { check, run: runner } = scriptRunner(host);
  const run = () => runner(one, pointer, pointer.image);
  check(one);
  expect(await run()).toMatchObject({ code: 0, output: 'ran\n' });
  writeFileSync(file, `${readFileSync(file, 'utf8')}touch ${host.root}/owned\n`);
  expect(() => check(one)).toThrow(/^tampered: .*10-site.sh is not what was installed$/);
  await expect(run()).rejects.toThrow(/^tampered: .*10-site.sh is not what was installed$/);
  expect(readdirSync(host.root)).not.toContain('owned');
});

test('what is signed is the same bytes in whatever order a plan was made', () => {
  const shuffled = (value: unknown): unknown =>
    typeof value !== 'object' || value === null || Array.isArray(value)
      ? value
      : Object.fromEntries(
          Object.entries(value)
            .reverse()
            .map(([name, member]) => [name, shuffled(member)]),
        );
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(), (content, at) => {
      const one = plan(content);
      expect(planBytes(me, shuffled(one) as Plan)).toEqual(planBytes(me, one));
      expect(planBytes(me, parsePlan(one))).toEqual(planBytes(me, one));
      const { signature } = signed(one);
      const bytes = planBytes(me, one);
      expect(host.verify(definition.signer, bytes, signature!)).toBe(true);
      bytes[at % bytes.length]! ^= 1;
      expect(host.verify(definition.signer, bytes, signature!)).toBe(false);
    }),
    { numRuns: 50 },
  );
});

test('the key of the cluster is made once, for its owner alone; another kind of key is refused', () => {
  const first = openSigner(host.root);
  expect(openSigner(host.root).point).toEqual(first.point);
  const file = join(host.root, 'signing-key.pem');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(host.root)).toEqual(['signing-key.pem']);
  writeFileSync(file, 'no key\n');
  expect(() => openSigner(host.root)).toThrow(/signing-key.pem is no P-256 key in PEM/);
});

test('a key of the cluster that is gone, or another, is said and not replaced', async () => {
  const [dir, registry] = [mkdtempSync(join(tmpdir(), 'signer-')), new MemoryRegistry()];
  const [key, aside] = [join(dir, 'signing-key.pem'), join(dir, 'aside')];
  try {
    const { point } = await clusterSigner(dir, registry);
    expect((await clusterSigner(dir, registry)).point).toEqual(point);
    renameSync(key, aside);
    await expect(clusterSigner(dir, registry)).rejects.toThrow(/signing-key.pem is gone, .*from a backup/);
    expect(existsSync(key)).toBe(false);
    openSigner(dir);
    await expect(clusterSigner(dir, registry)).rejects.toThrow(/signing-key.pem is another key, /);
    renameSync(aside, key);
    expect((await clusterSigner(dir, registry)).point).toEqual(point);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
