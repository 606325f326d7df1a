/** What becomes of flashes that nobody can verify, that come at once, whose imager goes, or whose store is none. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DEVICE_SIZE, openPointerStore } from '../../agent/linux/eeprom.ts';
import { Flashes, type Requester, UntouchedError } from '../../agent/linux/flash.ts';
import { Membership } from '../../agent/linux/membership.ts';
import type { Flash } from '../../agent/protocol/messages.ts';
import type { PointerStore } from '../../agent/protocol/pointer/store.ts';
import { imageBytes } from '../../agent/protocol/signed.ts';
import { temporarySigner } from '../../imager/signing/signer.ts';
import { MemoryLocalStore } from '../fakes/memory-local-store.ts';
import { QuietHost } from '../fakes/quiet-host.ts';
import { definitionOf } from '../local/definitions.ts';
import { listening } from '../support/listening.ts';

const ADDRESS = '127.0.0.1';
const KERNEL = Buffer.alloc(3_000_000, 'kernel');
const signer = temporarySigner();
const definition = { ...definitionOf(1), signer: signer.point };

let folder: string;
/** Of the EEPROM. */
let path: string;
let host: QuietHost;
let server: Server;
let port: number;
let store: PointerStore;
let asked: () => void;
/** Sends the rest of the kernel. */
let go: () => void;

beforeEach(async () => {
  host = new QuietHost();
  folder = mkdtempSync(join(tmpdir(), 'bootwright-flash-'));
  path = join(folder, 'eeprom');
  writeFileSync(path, new Uint8Array(DEVICE_SIZE));
  store = openPointerStore(host, 'uboot-env', path);
  server = createServer((_, answer) => {
    answer.setHeader('content-length', KERNEL.length);
    answer.write(KERNEL.subarray(1));
    go = () => answer.end(KERNEL.subarray(0, 1));
    asked();
  });
  port = await listening(server);
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

function flashes(membership: Membership): { flashes: Flashes; steps: string[] } {
  const steps: string[] = [];
  return { flashes: new Flashes(host, { store, path }, membership, (step) => void steps.push(step)), steps };
}

/** A node that has `definition`. */
function defined(): Membership {
  const store = new MemoryLocalStore();
  store.define(definition);
  return new Membership(definition.uid, store);
}

function flashOf(deployment: string): Flash {
  const target = { image: 'a', disks: ['d'], imagers: [ADDRESS], cluster: 'one', deployment };
  const sha256 = Buffer.from(
    host.sha256(Buffer.concat([KERNEL.subarray(1), KERNEL.subarray(0, 1)])),
  ).toString('hex');
  const files = [{ name: 'kernel', bytes: KERNEL.length, sha256 }];
  const to = { cluster: definition.cluster.id, node: definition.name };
  const signature = signer.sign(imageBytes(to, target, files));
  return { type: 'flash', request: 1, ...target, signed: { port, files, signature } };
}

const by = (): { imager: Requester['imager']; over: boolean } => ({
  imager: { address: ADDRESS, port: 1 },
  over: false,
});
/** Resolves when the server is asked for the kernel. */
const request = () =>
  new Promise<void>((resolve) => {
    asked = resolve;
  });

test('a node without a definition has no key to verify an image with: it writes the pointer, and says so', async () => {
  const { flashes: node } = flashes(new Membership('serial:n1', undefined));
  const { signed: _, ...plain } = flashOf('d1');
  expect(await node.flash(plain, by())).toMatchObject({
    pointer: { image: 'a', deployment: 'd1', sequence: 1 },
    former: null,
  });
  expect(host.console).toEqual(['bootwright: image a is not verified: this node has no key of its cluster']);
});

test('what was in force before is what the store held, whoever wrote that', async () => {
  const { flashes: node } = flashes(new Membership('serial:n1', undefined));
  const { signed: _, ...plain } = flashOf('d1');
  await node.flash(plain, by());
  const { pointer } = store.read();
  const set = store.write({ ...pointer!, image: 'set-here', fallback: 'rescue' });
  expect(await node.flash({ ...plain, deployment: 'd2' }, by())).toMatchObject({
    former: set,
    pointer: { image: 'a', deployment: 'd2', fallback: 'rescue' },
  });
});

test('a flash is refused while the image of another is being verified', async () => {
  const { flashes: node, steps } = flashes(defined());
  const [first, whose] = [request(), by()];
  const flash = node.flash(flashOf('d1'), whose);
  await first;
  await expect(node.flash(flashOf('d2'), whose)).rejects.toThrow(
    /^the image of another flash is being verified/,
  );
  go();
  expect(await flash).toMatchObject({ pointer: { deployment: 'd1', sequence: 1 } });
  // And none is left behind.
  const second = request();
  const next = node.flash(flashOf('d3'), whose);
  await second;
  go();
  expect(await next).toMatchObject({ pointer: { deployment: 'd3', sequence: 2 } });
  expect(steps).toEqual([]);
});

test("one whose imager has hung up writes nothing, and is in nobody's way", async () => {
  const { flashes: node } = flashes(defined());
  const [first, gone] = [request(), by()];
  const lost = expect(node.flash(flashOf('d1'), gone)).rejects.toThrow(
    'the imager that asked for it has hung up',
  );
  await first;
  gone.over = true;
  const [goOn, second] = [go, request()];
  const there = by();
  const next = node.flash(flashOf('d2'), there);
  await second;
  goOn();
  await lost;
  await expect(node.flash(flashOf('d3'), there)).rejects.toThrow(/^the image of another flash/);
  expect(store.read().pointer).toBeUndefined();
  go();
  expect(await next).toMatchObject({ pointer: { deployment: 'd2', sequence: 1 } });
});

test('one that takes longer than its size allows is given up', async () => {
  const { flashes: node } = flashes(defined());
  const flash = flashOf('d1');
  const asks = request();
  const late = expect(node.flash(flash, by())).rejects.toThrow(
    new UntouchedError('image a is not verified: kernel: it takes longer than 56 s'),
  );
  await asks;
  const now = host.uptime();
  host.uptime = () => now + 57;
  go();
  await late;
  expect(store.read().pointer).toBeUndefined();
});

test('a name that is none is never asked for', async () => {
  const { flashes: node } = flashes(defined());
  asked = () => expect.unreachable();
  const target = { ...flashOf('d1'), image: '../a' };
  const to = { cluster: definition.cluster.id, node: definition.name };
  const signature = signer.sign(imageBytes(to, target, target.signed!.files));
  const flash = { ...target, signed: { ...target.signed!, signature } };
  await expect(node.flash(flash, by())).rejects.toThrow('no image has such a name: ../a');
});

test.each([
  ['a disk', Buffer.alloc(65_536, 'partitions'), `it is larger than an EEPROM of ${DEVICE_SIZE} bytes`],
  ['a partition', Buffer.alloc(5000), 'it has 5000 bytes, an EEPROM 16384 (an older one 8192)'],
  [
    'something else',
    Buffer.alloc(DEVICE_SIZE, 'else'),
    'it holds something else than boot pointers of layout uboot-env',
  ],
])('%s is left as it is', async (_, content, why) => {
  writeFileSync(path, content);
  const { flashes: node } = flashes(new Membership('serial:n1', undefined));
  const { signed: _signed, ...plain } = flashOf('d1');
  await expect(node.flash(plain, by())).rejects.toThrow(
    new UntouchedError(
      `${path} was not written: ${why}. Is it the EEPROM? \`agent pointer set --force\` at the node writes all the same`,
    ),
  );
  expect(readFileSync(path)).toEqual(content);
});

test('where a pointer was forced on what does not look like an EEPROM, it is one', async () => {
  writeFileSync(path, Buffer.alloc(65_536, 'more'));
  const { flashes: node } = flashes(new Membership('serial:n1', undefined));
  const { signed: _, type, request: _request, ...target } = flashOf('d1');
  store.write({ ...target, phase: 'ready', attempts: 0, fallback: '' });
  expect(await node.flash({ type, request: 2, ...target, deployment: 'd2' }, by())).toMatchObject({
    former: { deployment: 'd1' },
    pointer: { deployment: 'd2' },
  });
});
