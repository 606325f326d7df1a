/** What outlives the process: acknowledged writes, flushed or not, as long as the machine stays up. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SystemFile } from '../../imager/disks/block-file.ts';
import { BASE, type BlockState, DATA, ZERO } from '../../imager/disks/block-map.ts';
import { BLOCK_SIZE, encodeHeader, mapFileSize } from '../../imager/disks/map-format.ts';
import { Overlay } from '../../imager/disks/overlay.ts';
import { type Change, RecentChanges } from '../../imager/disks/recent.ts';
import { ZeroMap } from '../../imager/disks/zero-map.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recent-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const change = (from: number, to: number, state: BlockState): Change => ({ from, to, state });

describe('recent changes', () => {
  test('golden bytes: header, then records', () => {
    const recent = RecentChanges.open(dir, 'boot-1');
    recent.note(change(3, 5, DATA));
    recent.close();
    const bytes = readFileSync(join(dir, 'recent-a'));
    expect(bytes.toString('latin1', 0, 16)).toBe('BWRECNT1boot-1\0\0');
    expect(bytes.subarray(0x40, 0x50).toString('hex')).toBe(
      [
        '01000000', // generation
        '03000000', // first block
        '05000000', // block after the last
        '01000000', // data
      ].join(''),
    );
    expect(bytes).toHaveLength(0x40 + 20);
  });

  test('are found again by the next process, not after a crash of the machine', () => {
    const recent = RecentChanges.open(dir, 'boot-1');
    recent.note(change(1, 2, DATA));
    recent.turn();
    recent.note(change(2, 3, ZERO));
    recent.close();
    const again = RecentChanges.open(dir, 'boot-1');
    expect(again.found).toEqual([change(1, 2, DATA), change(2, 3, ZERO)]);
    again.note(change(9, 10, DATA));
    again.close();
    const third = RecentChanges.open(dir, 'boot-1');
    expect(third.found.at(-1)).toEqual(change(9, 10, DATA));
    third.close();
    const rebooted = RecentChanges.open(dir, 'boot-2');
    expect(rebooted.found).toEqual([]);
    rebooted.close();
  });

  test('end where a record is torn, damaged or older', () => {
    const recent = RecentChanges.open(dir, 'b');
    recent.note(change(1, 2, DATA));
    recent.note(change(2, 3, DATA));
    recent.close();
    const path = join(dir, 'recent-a');
    const whole = readFileSync(path);
    for (const [name, spoil] of [
      ['torn', () => truncateSync(path, whole.length - 1)],
      [
        'damaged',
        () =>
          writeFileSync(
            path,
            whole.map((byte, i) => (i === whole.length - 9 ? byte ^ 1 : byte)),
          ),
      ],
      ['garbage after it', () => appendFileSync(path, 'x'.repeat(50))],
    ] as const) {
      writeFileSync(path, whole);
      spoil();
      const found = RecentChanges.open(dir, 'b');
      expect(found.found, name).toHaveLength(name === 'garbage after it' ? 2 : 1);
      found.close();
    }
  });

  test('what a flush took over may be lost, nothing else, whatever the order of flushes and ends', () => {
    const step = fc.oneof(
      fc.record({
        from: fc.nat(30),
        count: fc.integer({ min: 1, max: 5 }),
        state: fc.constantFrom(BASE, DATA, ZERO),
      }),
      fc.constantFrom('flush' as const, 'begin' as const, 'end' as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        rmSync(dir, { recursive: true });
        dir = mkdtempSync(join(tmpdir(), 'recent-'));
        let recent = RecentChanges.open(dir, 'b');
        /** As acknowledged, and as the map file has it. */
        const now = new Array<number>(40).fill(0);
        let durable = [...now];
        let flushing: number[] | undefined;
        for (const one of steps) {
          if (typeof one === 'object') {
            now.fill(one.state, one.from, one.from + one.count);
            recent.note(change(one.from, one.from + one.count, one.state));
          } else if (one === 'end') {
            flushing = undefined;
            recent.close();
            recent = RecentChanges.open(dir, 'b');
            const seen = [...durable];
            for (const { from, to, state } of recent.found) seen.fill(state, from, to);
            expect(seen).toEqual(now);
          } else {
            // A flush waits for the one before it.
            if (flushing !== undefined) durable = flushing;
            recent.turn();
            flushing = [...now];
            if (one === 'flush') {
              durable = flushing;
              flushing = undefined;
            }
          }
        }
        recent.close();
      }),
    );
  });
});

describe('an overlay whose process ends without a word', () => {
  const SIZE = 64 * BLOCK_SIZE;
  const BASE_CONTENT = new Uint8Array(SIZE).fill(0xba);

  function make(): void {
    const map = new Uint8Array(mapFileSize(SIZE));
    map.set(encodeHeader({ size: SIZE, baseName: 'b', baseDigest: '00'.repeat(32) }));
    writeFileSync(join(dir, 'base'), BASE_CONTENT);
    writeFileSync(join(dir, 'data'), new Uint8Array(SIZE));
    writeFileSync(join(dir, 'map'), map);
  }

  function open(): Overlay {
    const [base, data, map] = ['base', 'data', 'map'].map((name) => new SystemFile(join(dir, name), 'r+'));
    const recent = RecentChanges.open(dir, 'b');
    return Overlay.open(
      'disk',
      SIZE,
      { base: base!, zeros: new ZeroMap(SIZE), data: data!, map: map!, recent },
      () => {},
    );
  }

  test('has every write that was acknowledged', async () => {
    make();
    const first = open();
    await first.write(new Uint8Array(BLOCK_SIZE).fill(1), 0);
    await first.flush();
    await first.write(new Uint8Array(100).fill(2), 5 * BLOCK_SIZE + 10);
    await first.trim(7 * BLOCK_SIZE, BLOCK_SIZE);
    // `first` is never flushed or closed, as if its process had been killed here.
    const second = open();
    const seen = new Uint8Array(SIZE);
    await second.read(seen, 0);
    expect([seen[0], seen[5 * BLOCK_SIZE + 9], seen[5 * BLOCK_SIZE + 10]]).toEqual([1, 0xba, 2]);
    expect([seen[7 * BLOCK_SIZE], seen[8 * BLOCK_SIZE]]).toEqual([0, 0xba]);
    await second.close();
  });

  test('whatever was written, flushed and cut short before', async () => {
    const step = fc.oneof(
      fc.record({
        at: fc.nat(60),
        blocks: fc.integer({ min: 1, max: 4 }),
        fill: fc.integer({ min: 1, max: 255 }),
      }),
      fc.constantFrom('trim' as const, 'flush' as const, 'begin flush' as const, 'kill' as const),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30, size: 'max' }), async (steps) => {
        rmSync(dir, { recursive: true });
        dir = mkdtempSync(join(tmpdir(), 'recent-'));
        make();
        const model = new Uint8Array(BASE_CONTENT);
        const opened: Overlay[] = [open()];
        for (const one of steps) {
          const disk = opened.at(-1)!;
          if (one === 'flush') await disk.flush();
          else if (one === 'trim') {
            model.fill(0, 2 * BLOCK_SIZE, 4 * BLOCK_SIZE);
            await disk.trim(2 * BLOCK_SIZE, 2 * BLOCK_SIZE);
          } else if (one === 'begin flush') await Promise.all([disk.flush(), disk.flush()]);
          else if (one === 'kill') opened.push(open());
          else {
            const bytes = new Uint8Array(one.blocks * BLOCK_SIZE - 7).fill(one.fill);
            model.set(bytes, one.at * BLOCK_SIZE + 3);
            await disk.write(bytes, one.at * BLOCK_SIZE + 3);
          }
        }
        const last = open();
        const seen = new Uint8Array(SIZE);
        await last.read(seen, 0);
        expect(Buffer.compare(seen, model)).toBe(0);
        await last.close();
      }),
      { numRuns: 60 },
    );
  });
});
