/** firmware-stubs/pointer, binary slots and the decision in C: the same as in TypeScript, whatever the bytes are. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { crc32 } from '../../agent/protocol/crc32.ts';
import { decodeBinarySlot, encodeBinarySlot } from '../../agent/protocol/pointer/binary-slot.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { LARGEST_SLOT, slotPair } from '../../agent/protocol/pointer/slot-pair.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { decide } from '../../firmware-stubs/simulated/decide.ts';
import { decisionCases, storeOf } from '../firmware/decisions.ts';

interface Said {
  slots: [SaidSlot, SaidSlot];
  decision:
    | { error: string }
    | Record<'slot' | 'image' | 'attempts' | 'sequence' | 'fallback' | 'count', unknown>;
}
interface SaidSlot {
  kind: string;
  sequence?: number;
  /** The record, written again. */
  again?: string;
}

let folder: string;
let program: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'c-slot-'));
  program = join(folder, 'slots');
  const sources = [
    'firmware-stubs/pointer/slot.c',
    'firmware-stubs/pointer/decide.c',
    'test/pointer/slot-main.c',
  ];
  await promisify(execFile)('gcc', [
    ...['-std=c99', '-O1', '-Wall', '-Wextra', '-Werror'],
    ...['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-o', program],
    ...sources.map(projectFile),
  ]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the program makes of stores of two slots each. */
function inC(stores: readonly Uint8Array[]): Said[] {
  const input = stores.flatMap((store) => [Uint8Array.of(store.length / 2, store.length >> 9), store]);
  const output = execFileSync(program, { input: Buffer.concat(input), maxBuffer: 1 << 26 });
  return output
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Said);
}

function inTypeScript(store: Uint8Array): Said {
  const size = store.length / 2;
  const layout = slotPair('eeprom', size);
  const decision = decide(layout, store);
  const [first, second] = [store.subarray(0, size), store.subarray(size)].map((bytes): SaidSlot => {
    const slot = decodeBinarySlot(bytes);
    if (slot.kind === 'valid')
      return { kind: slot.kind, sequence: slot.pointer.sequence, again: hex(encodeBinarySlot(slot.pointer)) };
    return { kind: slot.kind, ...(slot.kind === 'invalid' ? { sequence: slot.sequence } : {}) };
  });
  if ('error' in decision) return { slots: [first!, second!], decision };
  const { slot, image, attempts, pointer, fallback, count } = decision;
  if (count !== undefined) expect(count.offset).toBe(slot === 0 ? size : 0);
  const counted = hex(count?.bytes ?? new Uint8Array());
  return {
    slots: [first!, second!],
    decision: { slot, image, attempts, sequence: pointer.sequence, fallback, count: counted },
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

const name = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,62}$/);
const record = fc.record({
  sequence: fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff)),
  image: name,
  disks: fc.array(name, { maxLength: 9 }),
  imagers: fc.array(fc.ipV4(), { maxLength: 5 }),
  cluster: name,
  deployment: fc.stringMatching(/^[a-z0-9]{1,33}$/),
  phase: fc.constantFrom('deploy' as const, 'ready' as const),
  attempts: fc.oneof(fc.nat(255), fc.constantFrom(0, 1)),
  fallback: fc.oneof(fc.constant(''), name),
}) satisfies fc.Arbitrary<BootPointer>;

/** A record, whole or bent: a byte of it another one, with and without its checksum put right, or cut off. */
const slotBytes = fc
  .tuple(record, fc.constantFrom('whole', 'torn', 'bent', 'cut', 'blank'), fc.nat(), fc.nat(255))
  .map(([pointer, damage, at, value]) => {
    const bytes = encodeBinarySlot(pointer);
    if (damage === 'torn') bytes[at % bytes.length] = value;
    if (damage === 'bent') bend(bytes, 10 + (at % (bytes.length - 10)), value);
    if (damage === 'cut') return bytes.subarray(0, at % bytes.length);
    return damage === 'blank' ? new Uint8Array(bytes.length).fill(value % 2 === 0 ? 0 : 0xff) : bytes;
  });

function bend(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  new DataView(bytes.buffer).setUint32(4, crc32(bytes.subarray(8)), true);
}

test('damaged records, numbers of every distance: read, written and decided alike', () => {
  const seen = new Map<string, number>();
  const store = fc
    .tuple(fc.constantFrom(0, 7, 15, 16, 128, 256, LARGEST_SLOT), slotBytes, slotBytes)
    .map(([size, first, second]) => {
      const bytes = new Uint8Array(2 * size);
      bytes.set(first.subarray(0, size));
      bytes.set(second.subarray(0, size), size);
      return bytes;
    });
  fc.assert(
    fc.property(fc.array(store, { minLength: 50, maxLength: 100 }), (stores) => {
      const said = inC(stores);
      expect(said).toEqual(stores.map(inTypeScript));
      for (const { slots, decision } of said) {
        for (const { kind } of slots) seen.set(kind, (seen.get(kind) ?? 0) + 1);
        const what = 'error' in decision ? decision.error : decision.count === '' ? 'boots' : 'counts';
        seen.set(what, (seen.get(what) ?? 0) + 1);
      }
    }),
    { numRuns: 40 },
  );
  for (const kind of [
    'empty',
    'torn',
    'invalid',
    'valid',
    'boots',
    'counts',
    'no boot pointer in the EEPROM',
  ])
    expect(seen.get(kind), kind).toBeGreaterThan(20);
});

test('every single byte of a record with every value, its checksum right', () => {
  const whole = encodeBinarySlot({
    ...{
      sequence: 7,
      image: 'a-b',
      disks: ['root', 'd'],
      imagers: ['10.77.0.1', '10.0.0.2'],
      cluster: 'one',
    },
    ...{ deployment: 'd1', phase: 'deploy', attempts: 3, fallback: 'b..' },
  });
  const stores: Uint8Array[] = [];
  for (let at = 10; at < whole.length; at++)
    for (let value = 0; value < 256; value++) {
      const store = new Uint8Array(256);
      const bytes = whole.slice();
      bend(bytes, at, value);
      store.set(bytes, at % 2 === 0 ? 0 : 128);
      stores.push(store);
    }
  expect(inC(stores)).toEqual(stores.map(inTypeScript));
});

test('the table of decisions', () => {
  const layout = slotPair('eeprom', LARGEST_SLOT);
  const stores = decisionCases(layout).map((given) => storeOf(layout, given));
  expect(inC(stores)).toEqual(stores.map(inTypeScript));
});
