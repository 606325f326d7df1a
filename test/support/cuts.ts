/**
 * Power cuts at random moments of a flash over the serial line and of the boot after it: the node comes up with the old or
 * with the new image. For any node of the rig whose firmware listens on its serial line (`serial: 'pty'`).
 */
import { setTimeout } from 'node:timers/promises';
import type { RigNode } from '../../firmware-stubs/rig/node.ts';
import { openPort } from '../../imager/serial/port.ts';
import { runOnLine } from '../../imager/serial/run.ts';
import { flash, type Target, withNode } from '../../imager/serial/work.ts';
import { randomFrom } from '../serial/virtual-line.ts';

export interface CutsOptions {
  node: RigNode;
  /** Where the node boots from, with `image` for the image. */
  target(image: string): Target;
  images: readonly [string, string];
  /** Resolves with the image that the node came up with, since it was last switched on. */
  cameUp(node: RigNode): Promise<string>;
  /** The same moments again. */
  seed: number;
  rounds: number;
  tell(line: string): void;
}

export interface CutCounts {
  old: number;
  new: number;
  /** How far the flash was when the power went. */
  before: number;
  writing: number;
  verified: number;
}

type Stage = 'before' | 'writing' | 'verified';

/** A flash and the boot after it. */
interface Flashing {
  /** How far the flash is. */
  stage(): Stage;
  /** Resolves with the image that came up; rejects where flash or boot fail. */
  done: Promise<string>;
  /** The technician goes away. */
  leave(): Promise<void>;
}

/** Throws where a node comes up with neither, with the old image after the flash was verified, or the new one before it began. */
export async function cutAtRandom(options: CutsOptions): Promise<CutCounts> {
  const { node, images, seed, rounds, tell, cameUp } = options;
  const random = randomFrom(seed);
  const counts: CutCounts = { old: 0, new: 0, before: 0, writing: 0, verified: 0 };
  let [old, next] = images;
  const lines = await undisturbed(options, old);
  for (let round = 1; round <= rounds; round++) {
    const { after, delay } = momentOf(lines, random());
    const flashing = await begin(options, next);
    // A flash or a boot that fails before the cut is told as such.
    await Promise.race([momentCame(node, after, delay), flashing.done]);
    const stage = flashing.stage();
    await node.cutPower();
    await flashing.leave();

    await node.powerOn();
    const image = await cameUp(node);
    await node.cutPower();
    const allowed = stage === 'before' ? [old] : stage === 'verified' ? [next] : [old, next];
    const what = `seed ${seed}, round ${round}, cut after line ${after} and ${delay} ms, flash ${stage}`;
    if (!allowed.includes(image))
      throw new Error(`${what}: came up with "${image}", not with ${allowed.join(' or ')}\n${node.serial()}`);
    tell(`${what}: came up with ${image}, the ${image === old ? 'old' : 'new'} image`);
    counts[image === old ? 'old' : 'new']++;
    counts[stage]++;
    if (image === next) [old, next] = [next, old];
  }
  tell(
    `seed ${seed}: of ${rounds} nodes whose power was cut ${counts.old} came up with the old image, ${counts.new} with the new one ` +
      `(cut before the write ${counts.before}, amid it ${counts.writing}, verified ${counts.verified})`,
  );
  return counts;
}

/** A flash and a boot without a cut. Gives when each line of the console came, and the last when the image had come up. */
async function undisturbed(options: CutsOptions, image: string): Promise<number[]> {
  const { node } = options;
  const lines: number[] = [];
  const stop = node.onLine(({ sincePowerOn }) => lines.push(sincePowerOn));
  const flashing = await begin(options, image);
  const found = await flashing.done;
  stop();
  await node.cutPower();
  await flashing.leave();
  if (found !== image) throw new Error(`flashed with ${image}, came up with ${found}`);
  return lines;
}

/** A moment of that run, each as likely as any other: so many lines, and so many milliseconds after the last of them. */
export function momentOf(lines: readonly number[], random: number): { after: number; delay: number } {
  const moment = random * lines.at(-1)!;
  const after = lines.filter((at) => at <= moment).length;
  return { after, delay: Math.round(moment - (lines[after - 1] ?? 0)) };
}

/** The console paces it, so that a busy machine cuts at the same place as an idle one. */
export async function momentCame(node: RigNode, after: number, delay: number): Promise<void> {
  let seen = 0;
  if (after > 0)
    await new Promise<void>((resolve) => {
      const stop = node.onLine(() => {
        if (++seen < after) return;
        stop();
        resolve();
      });
    });
  await setTimeout(delay);
}

async function begin({ node, target, cameUp }: CutsOptions, image: string): Promise<Flashing> {
  const line = await openPort(node.serialPort, 115_200);
  let stage: Stage = 'before';
  const written = runOnLine(line, {
    task: (state) =>
      withNode(state, { withinMs: 60_000, uboot: true }, (end) =>
        flash(end, {
          ...{ target: () => target(image), deployment: `cut${Date.now().toString(36)}` },
          ...{ again: true, dryRun: false, reset: true },
        }),
      ),
    baud: 115_200,
    tell: ({ step }) => {
      if (step === 'writing' || step === 'verified') stage = step;
    },
  });
  await node.powerOn();
  const done = written.then(() => cameUp(node));
  // Where the power goes both fail, and nobody asks them any more.
  done.catch(() => {});
  return { stage: () => stage, done, leave: () => line.close() };
}
