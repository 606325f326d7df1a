/**
 * What once broke a codec breaks it no more: fixtures/fuzz/TARGET/NAME.hex, whose first line says where the packet is from
 * and what it did.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { TARGETS } from './targets.ts';

const ROOT = projectFile('fixtures/fuzz');
/** A packet that once hung its codec is to be gone through long before this. */
const LONGEST_MS = 10_000;

const entries = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder).sort() : []);

test('every folder of the corpus is a target', () => {
  expect(entries(ROOT).filter((name) => !(name in TARGETS))).toEqual([]);
});

describe.each(Object.keys(TARGETS))('%s', (name) => {
  const target = TARGETS[name]!();
  test('takes its own seeds', async () => {
    for (const seed of target.seeds) await target.take(Uint8Array.from(seed));
  });
  test.each(entries(join(ROOT, name)))('%s', { timeout: LONGEST_MS }, async (file) => {
    const [provenance, ...hex] = readFileSync(join(ROOT, name, file), 'utf8').split('\n');
    expect(provenance).toMatch(/^# \S/);
    await target.take(Uint8Array.from(Buffer.from(hex.join(''), 'hex')));
  });
});
