/** The audit trail: lines that could not be written whole, and what is remembered of a node. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { AuditTrail } from '../../imager/serial/audit.ts';

const room = vi.hoisted(() => ({ bytes: Number.POSITIVE_INFINITY }));
vi.mock('node:fs', async (original) => {
  const real = await original<typeof fs>();
  const writeSync = (fd: number, bytes: Uint8Array) => real.writeSync(fd, bytes.subarray(0, room.bytes));
  return { ...real, writeSync };
});

let dir: string;
beforeEach(() => {
  dir = fs.mkdtempSync(join(tmpdir(), 'audit-'));
});
afterEach(() => {
  room.bytes = Number.POSITIVE_INFINITY;
  fs.rmSync(dir, { recursive: true });
});

const pointer = (image: string): BootPointer => ({
  ...{ image, disks: ['a-root'], imagers: ['10.77.0.1'], cluster: 'c', deployment: 'd' },
  ...{ sequence: 1, phase: 'deploy', attempts: 3, fallback: '' },
});
const entry = (uid: string, image: string) => ({
  ...{ event: 'verified' as const, port: '/dev/ttyUSB0', uid, via: 'frames' as const },
  ...{ old: null, new: pointer(image) },
});

it('a line that was written in part is an error, and no entry', () => {
  const trail = new AuditTrail(dir);
  trail.append(entry('u1', 'alpha'));
  room.bytes = 40;
  expect(() => trail.append(entry('u1', 'beta'))).toThrow(/^40 of \d+ bytes written$/);
  room.bytes = Number.POSITIVE_INFINITY;
  trail.append(entry('u1', 'gamma'));
  expect(trail.entries().map((each) => each.new.image)).toEqual(['alpha', 'gamma']);
});

it('the last pointer that was written to a node, of those that are wanted', () => {
  const trail = new AuditTrail(dir);
  for (const image of ['alpha', 'beta']) trail.append(entry('u1', image));
  trail.append(entry('u2', 'gamma'));
  trail.append({ ...entry('u1', 'delta'), event: 'failed' });
  expect(trail.lastVerified('u1')).toEqual(pointer('beta'));
  expect(trail.lastVerified('u1', ({ image }) => image !== 'beta')).toEqual(pointer('alpha'));
  expect(trail.lastVerified('u1', () => false)).toBeUndefined();
  expect(trail.lastVerified('')).toBeUndefined();
});
