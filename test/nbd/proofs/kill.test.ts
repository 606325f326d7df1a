/**
 * The server is killed at random moments while fio and a witness of our own write, each to a disk of its own. What
 * was acknowledged is there when it comes back, flushed or not, and no block is half of one thing and half of another.
 *
 * BOOTWRIGHT_KILL_ROUNDS: how often, 4 where it is not set. BOOTWRIGHT_KILL_SEED: requests and moments of an earlier run.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { Disks } from '../../../imager/disks/catalog.ts';
import { Random } from '../../fuzz/random.ts';
import { bundle } from '../../support/inside.ts';
import { RawClient } from '../raw-client.ts';
import { fioVerifies, fioWrites } from './fio.ts';
import { Victim } from './victim.ts';
import { Witness } from './witness.ts';

const { env } = process;
const ROUNDS = Number(env.BOOTWRIGHT_KILL_ROUNDS ?? 4);
const SEED = Number(env.BOOTWRIGHT_KILL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const SIZE = 12 * 2 ** 20;
const FIO_ATTACHED = /"step":"attach"[^\n]*"export":"fio"/g;
/** The numbers of rounds are used for the witness's requests. */
const MOMENTS = 1_000_000;

test(`killed ${ROUNDS} times under fio and a witness`, { timeout: 60_000 + ROUNDS * 20_000 }, async () => {
  const program = await bundle('test/nbd/proofs/server.ts');
  const dir = mkdtempSync(join(tmpdir(), 'nbd-kill-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'image'), Witness.image(SIZE));
  const setUp = await Disks.open({ dir, log: pino({ level: 'silent' }) });
  await setUp.addBase('b', join(dir, 'image'));
  for (const name of ['fio', 'own']) await setUp.create(name, 'b');
  await setUp.close();
  const random = new Random();
  random.begin(SEED, MOMENTS);
  const witness = new Witness(SIZE);
  const opens: number[] = [];
  let compared = 0;
  try {
    for (let round = 0; ; round++) {
      // Every second one has checkpoints all the time, and the disks open before the clients come.
      const busy = round % 2 === 0 ? [] : ['own', 'fio'];
      const victim = await Victim.start(program, dir, { busy });
      const start = performance.now();
      const reader = await RawClient.attach(victim.port, 'own');
      if (busy.length === 0) opens.push(performance.now() - start);
      await witness.check(reader);
      const job = { uri: `${victim.uri}/fio`, size: SIZE, dir, seed: SEED + round };
      if (round > 0) {
        const { code, read, text } = await fioVerifies({
          ...job,
          name: `r${round - 1}`,
          seed: SEED + round - 1,
        });
        expect(code, text).toBe(0);
        compared += read;
      }
      if (round === ROUNDS) {
        await victim.stop();
        break;
      }
      const before = victim.text.match(FIO_ATTACHED)?.length ?? 0;
      const fio = fioWrites({ ...job, name: `r${round}` });
      await victim.said(new RegExp(`(?:${FIO_ATTACHED.source}[^]*?){${before + 1}}`));
      let left = 20 + random.below(1500);
      let gone: Promise<void> | undefined;
      await witness.write(reader, SEED, round, () => {
        if (--left <= 0) gone ??= victim.kill();
      });
      await gone;
      await fio;
    }
  } catch (error) {
    throw new Error(`BOOTWRIGHT_KILL_SEED=${SEED}: ${(error as Error).message}`, { cause: error });
  }
  const sorted = opens.slice(1).sort((a, b) => a - b);
  const ms = (share: number): string => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(1);
  console.log(
    `seed ${SEED}: ${ROUNDS} kills, ${witness.acknowledged} requests acknowledged, ${witness.flushes} of them flushes; ` +
      `fio compared ${compared} blocks; an overlay opened in ${ms(0.5)} ms (longest ${ms(1)} ms) after a kill`,
  );
  // Fewer would mean that next to nothing was written before the kills.
  expect(witness.flushes).toBeGreaterThan(ROUNDS);
  expect(compared).toBeGreaterThan(ROUNDS);
});
