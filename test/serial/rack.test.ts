/** Several ports at once, on ptys: what is on record where a line goes at the reset, and where the record cannot be made. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { encodeRequest } from '../../agent/protocol/serial/operations.ts';
import { type AuditEntry, AuditTrail } from '../../imager/serial/audit.ts';
import type { Progress } from '../../imager/serial/progress.ts';
import { onPorts } from '../../imager/serial/rack.ts';
import { flash, withNode } from '../../imager/serial/work.ts';
import { attachNode, Cable } from './pty-lines.ts';

// Generous: the machine may be busy with other tests.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

const UIDS = [1, 2].map((i) => `0f9d1c3a-5d0e-4a52-9d3e-1b5b0a1f000${i}`);
const RESET = Buffer.from(encodeRequest({ op: 'reset' }));

let dir: string;
let cables: Cable[];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'rack-'));
  cables = await Promise.all(UIDS.map((_, i) => Cable.plug(dir, String(i))));
});
afterEach(async () => {
  await Promise.all(cables.map((cable) => cable.close()));
  rmSync(dir, { recursive: true, force: true });
});

/** An audit trail with no room for some entries. */
class FullTrail extends AuditTrail {
  readonly #refuses: (entry: Omit<AuditEntry, 'at' | 'who'>) => boolean;

  constructor(refuses: (entry: Omit<AuditEntry, 'at' | 'who'>) => boolean) {
    super(join(dir, 'state'));
    this.#refuses = refuses;
  }

  override append(entry: Omit<AuditEntry, 'at' | 'who'>): void {
    if (this.#refuses(entry)) throw new Error('no space left on device');
    super.append(entry);
  }
}

async function flashed(
  audit: AuditTrail,
  tell: (port: string, progress: Progress) => void = () => {},
  diskOf = (uid: string) => `${uid.slice(-1)}-root`,
) {
  const ended: string[] = [];
  const results = await onPorts({
    ports: cables.map(({ near }) => near),
    baud: 115_200,
    ...{ audit, tell },
    ended: ({ port }) => ended.push(port),
    task: (_port, line) =>
      withNode(line, { withinMs: 20_000, uboot: false }, (end) =>
        flash(end, {
          target: ({ uid }) => ({
            ...{ image: 'alpha', disks: [diskOf(uid)], imagers: ['10.77.0.1'], cluster: 'c' },
          }),
          ...{ deployment: 'd1', again: false, dryRun: false, reset: true },
        }),
      ),
  });
  const events = (uid: string) =>
    audit.entries().flatMap((entry) => (entry.uid === uid ? [entry.event] : []));
  expect(ended.sort()).toEqual(cables.map(({ near }) => near).sort());
  return { results, events: UIDS.map(events) };
}

test('a line that goes at the reset, after the write was verified: written, and on record as such', async () => {
  const image = new Uint8Array(ubootEnv.size);
  const node = attachNode(cables[0]!, { uid: UIDS[0]!, image });
  attachNode(cables[1]!, { uid: UIDS[1]! });
  const receive = node.receive.bind(node);
  let pulled = false;
  node.receive = (bytes) => {
    if (!Buffer.from(bytes).includes(RESET)) receive(bytes);
    else {
      pulled = true;
      cables[0]!.pull();
    }
  };
  const { results, events } = await flashed(new AuditTrail(join(dir, 'state')));
  expect(pulled).toBe(true);
  expect(results).toMatchObject([
    { ok: true, value: { outcome: 'written', pointer: { image: 'alpha' } } },
    { ok: true, value: { outcome: 'written' } },
  ]);
  expect(ubootEnv.read(image)[0]).toMatchObject({ kind: 'valid', pointer: { image: 'alpha' } });
  expect(events).toEqual([
    ['begun', 'verified'],
    ['begun', 'verified'],
  ]);
});

test('a trail that cannot take the end of one write: that port says so, the others have their results', async () => {
  for (const [i, cable] of cables.entries()) attachNode(cable, { uid: UIDS[i]! });
  const audit = new FullTrail(({ uid, event }) => uid === UIDS[0] && event !== 'begun');
  const { results, events } = await flashed(audit);
  expect(results).toMatchObject([
    {
      ok: false,
      failure: {
        kind: 'refused',
        message: expect.stringMatching(
          /^the pointer was written and verified, but the audit trail .* no space/,
        ),
      },
    },
    { ok: true, value: { outcome: 'written' } },
  ]);
  expect(events).toEqual([['begun'], ['begun', 'verified']]);
});

test('a trail that cannot take a failure: the failure is told, and that it is not on record', async () => {
  for (const [i, cable] of cables.entries()) attachNode(cable, { uid: UIDS[i]! });
  const audit = new FullTrail(({ event }) => event === 'failed');
  const { results } = await flashed(audit, (port, { step }) => {
    if (port === cables[0]!.near && step === 'sending') cables[0]!.pull();
  });
  expect(results).toMatchObject([
    {
      ok: false,
      failure: {
        kind: 'pulled',
        message: expect.stringMatching(/^the port is gone.*; and the audit trail .* no space/),
      },
    },
    { ok: true, value: { outcome: 'written' } },
  ]);
});

test("an error that nobody foresaw is that port's: the others have their results", async () => {
  for (const [i, cable] of cables.entries()) attachNode(cable, { uid: UIDS[i]! });
  const diskOf = (uid: string) => {
    if (uid === UIDS[0]) throw new TypeError('the moon is full');
    return '2-root';
  };
  const { results, events } = await flashed(new AuditTrail(join(dir, 'state')), () => {}, diskOf);
  expect(results).toMatchObject([
    { ok: false, failure: { kind: 'failed', message: 'the moon is full', cause: expect.any(TypeError) } },
    { ok: true, value: { outcome: 'written' } },
  ]);
  expect(events).toEqual([[], ['begun', 'verified']]);
});

test('an error that nobody foresaw in the middle of a write: told, and on record as failed', async () => {
  for (const [i, cable] of cables.entries()) attachNode(cable, { uid: UIDS[i]! });
  const { results, events } = await flashed(new AuditTrail(join(dir, 'state')), (port, { step }) => {
    if (port === cables[0]!.near && step === 'checking') throw new RangeError('out of range');
  });
  expect(results).toMatchObject([
    { ok: false, failure: { kind: 'failed', message: 'out of range' } },
    { ok: true, value: { outcome: 'written' } },
  ]);
  expect(events).toEqual([
    ['begun', 'failed'],
    ['begun', 'verified'],
  ]);
});
