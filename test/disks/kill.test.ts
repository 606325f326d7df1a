/** A process that writes to an overlay is killed at random moments; what it was promised must be there. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { Disks } from '../../imager/disks/catalog.ts';
import { endsWithTest } from '../support/ends-with-test.ts';
import { bundle } from '../support/inside.ts';
import { attached } from './attached.ts';

const BLOCKS = 9000;

/** What block `block` may read as, from the writer's words: everything since the last flush that was confirmed. */
class Promises {
  readonly #allowed = Array.from({ length: BLOCKS }, () => new Set(['base']));
  #sinceBegin = new Map<number, string>();
  #latest = new Map<number, string>();

  hear(line: string): void {
    const [word, block, value] = line.split(' ');
    if (word === 'w') {
      this.#allowed[Number(block)]!.add(value!);
      this.#latest.set(Number(block), value!);
    } else if (word === 'b') this.#sinceBegin = new Map(this.#latest);
    else if (word === 'f') {
      for (const [at, last] of this.#sinceBegin) this.#allowed[at] = new Set([last]);
      this.#latest.clear();
    }
  }

  allows(block: number, found: string): boolean {
    return this.#allowed[block]!.has(found);
  }

  /** After a kill: what was found is what counts from now on. */
  settle(found: string[]): void {
    found.forEach((value, block) => {
      this.#allowed[block] = new Set([value]);
    });
    this.#latest.clear();
    this.#sinceBegin.clear();
  }
}

function reading(bytes: Buffer): string {
  const first = bytes.subarray(0, 16);
  for (let at = 16; at < bytes.length; at += 16)
    if (!bytes.subarray(at, at + 16).equals(first)) return `torn: ${bytes.toString('latin1', 0, 64)}`;
  if (first.every((byte) => byte === 0)) return 'zero';
  if (first.every((byte) => byte === 0xbb)) return 'base';
  return first.toString('latin1').trim().replace(';', '');
}

test('killed at random moments: every confirmed flush is there, nothing is garbage', async () => {
  const program = await bundle('test/disks/writer.ts');
  const dir = mkdtempSync(join(tmpdir(), 'kill-'));
  writeFileSync(join(dir, 'image'), Buffer.alloc(BLOCKS * 4096, 0xbb));
  const setUp = await Disks.open({ dir, log: pino({ level: 'silent' }) });
  await setUp.addBase('b', join(dir, 'image'));
  await setUp.create('n1', 'b');
  await setUp.close();
  const promises = new Promises();
  let flushes = 0;
  for (let round = 0; round < 6; round++) {
    const child = endsWithTest(
      spawn(process.execPath, [program, dir, String(round * 7919 + 1)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    );
    const ended = new Promise((resolve) => child.once('close', resolve));
    let text = '';
    // Killed after so many words, at whatever it does then.
    const patience = 40 + round * 157;
    child.stdout.on('data', (chunk) => {
      text += chunk;
      if (text.length > patience * 8) child.kill('SIGKILL');
    });
    await ended;
    for (const line of text.split('\n').slice(0, -1)) {
      promises.hear(line);
      if (line === 'f') flushes++;
    }
    const disks = await Disks.open({ dir, log: pino({ level: 'silent' }) });
    const disk = await attached(disks, 'n1');
    const block = Buffer.alloc(4096);
    const all: string[] = [];
    for (let at = 0; at < BLOCKS; at++) {
      await disk.read(block, at * 4096);
      const found = reading(block);
      all.push(found);
      if (!promises.allows(at, found))
        expect(`block ${at}: ${found}`).toBe('something it was promised to be');
    }
    promises.settle(all);
    await disks.close();
  }
  expect(flushes).toBeGreaterThan(20);
  rmSync(dir, { recursive: true });
}, 120_000);
