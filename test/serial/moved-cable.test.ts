/** A cable that is moved to another node while one is being flashed. */
import { expect, it } from 'vitest';
import { eepromLayout } from '../../agent/protocol/pointer/at24.ts';
import type { PointerLayout } from '../../agent/protocol/pointer/layout.ts';
import { ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { SimulatedSerialNode } from '../../firmware-stubs/simulated/serial-node.ts';
import { FramesEnd } from '../../imager/serial/frames-end.ts';
import type { Progress } from '../../imager/serial/progress.ts';
import { flash, show, type Target, withNode } from '../../imager/serial/work.ts';
import { UID, VirtualLine } from './virtual-line.ts';

const REACH = { withinMs: 10_000, uboot: true };
const TARGET: Target = { image: 'debian-12', disks: ['n1-root'], imagers: ['10.77.0.1'], cluster: 'demo' };

/** Moves the cable when `step` is told for the first time. */
function moving(line: VirtualLine, step: Progress['step'], other: { uid: string; layout: PointerLayout }) {
  const image = new Uint8Array(Math.max(other.layout.size, ubootEnv.size));
  const before = image.slice();
  const node = new SimulatedSerialNode({
    ...{ ...other, image },
    send: (bytes) => line.fromNode.put(bytes, line.now),
  });
  let moved = false;
  const tell = (progress: Progress) => {
    if (progress.step !== step || moved) return;
    moved = true;
    node.start();
    line.plug(node);
  };
  return { tell, isUntouched: () => Buffer.compare(image, before) === 0 };
}

const flashing = (line: VirtualLine, tell: (progress: Progress) => void) =>
  line.run(
    (state) =>
      withNode(state, REACH, (end) =>
        flash(end, {
          ...{ target: () => TARGET, deployment: 'd1', again: false, dryRun: false, reset: true },
        }),
      ),
    tell,
  );

const OTHER = UID.replace(/.$/, '2');

it.each<[string, Progress['step'], { uid: string; layout: PointerLayout }]>([
  ['another node, before it is sent', 'writing', { uid: OTHER, layout: ubootEnv }],
  ['another node, while it is sent', 'sending', { uid: OTHER, layout: ubootEnv }],
  ['another node, while it is read back', 'checking', { uid: OTHER, layout: ubootEnv }],
  ['the same UID in front of another layout', 'sending', { uid: UID, layout: eepromLayout(8192) }],
  ['the same UID in front of another size', 'sending', { uid: UID, layout: { ...ubootEnv, size: 16_384 } }],
])('%s: refused, and nothing is written there', (_what, step, other) => {
  const line = new VirtualLine();
  const { tell, isUntouched } = moving(line, step, other);
  expect(flashing(line, tell)).toMatchObject({
    kind: 'failed',
    error: { kind: 'refused', message: expect.stringContaining('was the cable moved? Begin anew') },
  });
  expect(isUntouched()).toBe(true);
});

it('nodes without a UID cannot be told apart: refused while one is written, read again while one is read', () => {
  const writing = new VirtualLine({ uid: '' });
  const moved = moving(writing, 'sending', { uid: '', layout: ubootEnv });
  expect(flashing(writing, moved.tell)).toMatchObject({
    kind: 'failed',
    error: { kind: 'refused', message: expect.stringContaining('without a UID') },
  });
  expect(moved.isUntouched()).toBe(true);

  const reading = new VirtualLine({ uid: '' });
  let resets = 0;
  const shown = reading.run(
    (state) => withNode(state, REACH, (end) => show(end, { log: false })),
    ({ step }) => {
      if (step === 'reading' && resets++ === 0) reading.node.start();
    },
  );
  expect(shown).toMatchObject({ kind: 'done' });
});

it('the same node, after a reset, may take less at once than before', () => {
  const limits: number[] = [];
  const hello = (chunk: number) => ({
    ...{ op: 'hello' as const, version: 1, uid: UID, layout: ubootEnv.name, size: ubootEnv.size, chunk },
    ...{ locked: false, firmware: 'stub' },
  });
  const console = { bytes: 0, odd: 0, echoed: 0, lastLine: '' };
  const end = new FramesEnd(hello(512), { chunk: 512, limitChunk: (most) => limits.push(most), console });
  const log = end.log();
  log.next();
  const asked = log.next({ kind: 'answer', answer: { op: 'refused', code: 'session', why: '' } });
  expect(asked.value).toMatchObject({ request: { op: 'hello' } });
  log.next({ kind: 'answer', answer: hello(64) });
  expect(limits).toEqual([512, 64]);
});
