/** Driving U-Boot's prompt in virtual time: the environment as a pointer store, bytes that get lost, prompts that do not come. */
import { describe, expect, it } from 'vitest';
import { SimulatedUboot } from '../../firmware-stubs/simulated/uboot-console.ts';
import { SerialFailure } from '../../imager/serial/failure.ts';
import { type Outcome, SerialSession } from '../../imager/serial/session.ts';
import type { LineState, Task } from '../../imager/serial/task.ts';
import { flash, show, type Target, withNode } from '../../imager/serial/work.ts';

const TARGET: Target = { image: 'debian-12', disks: ['n1-root'], imagers: ['10.77.0.1'], cluster: 'demo' };
const REACH = { withinMs: 10_000, uboot: true };
const AUTOBOOT_MS = 500;
const BYTE_MS = 0.1;

interface World {
  stored?: Map<string, string>;
  interruptible?: boolean;
  saveFails?: boolean;
  /** Called with each byte on its way to the node; undefined: it is lost. */
  onKey?: (key: string) => string | undefined;
}

/** Runs a task on a board that is switched on after half a second. */
function run<T>(
  task: (line: LineState) => Task<T>,
  world: World = {},
): { outcome: Outcome<T>; board: SimulatedUboot } {
  const { stored = new Map(), interruptible = true, saveFails = false, onKey = (key) => key } = world;
  let now = 0;
  const arrivals: { at: number; toNode: boolean; text: string }[] = [];
  const free = { true: 0, false: 0 };
  const put = (toNode: boolean, text: string) => {
    const way = toNode ? 'true' : 'false';
    free[way] = Math.max(free[way], now) + BYTE_MS * text.length;
    arrivals.push({ at: free[way], toNode, text });
  };
  const board = new SimulatedUboot({ stored, interruptible, saveFails, send: (text) => put(false, text) });
  const session = new SerialSession<T>({
    ...{ task, baud: 115_200, session: 77, tell: () => {} },
    send: (bytes) => put(true, Buffer.from(bytes).toString('latin1')),
  });
  session.start(now);
  let startsAt = 500;
  let bootsAt = Number.POSITIVE_INFINITY;
  for (let steps = 0; session.outcome === undefined; steps++) {
    if (steps > 50_000) throw new Error('the session does not come to an end');
    arrivals.sort((a, b) => a.at - b.at);
    now = Math.min(session.wakeAt, startsAt, bootsAt, arrivals[0]?.at ?? Number.POSITIVE_INFINITY);
    const starts = board.starts;
    if (now >= startsAt) {
      startsAt = Number.POSITIVE_INFINITY;
      board.start();
    }
    if (now >= bootsAt) board.onTime();
    while ((arrivals[0]?.at ?? Number.POSITIVE_INFINITY) <= now) {
      const { toNode, text } = arrivals.shift()!;
      if (!toNode) session.receive(Buffer.from(text, 'latin1'), now);
      else if (board.starts > 0) board.receive([...text].map((key) => onKey(key) ?? '').join(''));
    }
    if (board.starts !== starts) bootsAt = now + AUTOBOOT_MS;
    else if (now >= bootsAt) bootsAt = Number.POSITIVE_INFINITY;
    session.tick(now);
  }
  return { outcome: session.outcome, board };
}

const flashing = (target: Target) => (line: LineState) =>
  withNode(line, REACH, (end) =>
    flash(end, { target: () => target, deployment: 'd1', again: false, dryRun: false, reset: false }),
  );

function failure({ outcome }: { outcome: Outcome<unknown> }): SerialFailure {
  if (outcome.kind !== 'failed') throw new Error('it did not fail');
  expect(outcome.error).toBeInstanceOf(SerialFailure);
  return outcome.error as SerialFailure;
}

describe('the environment as a pointer store', () => {
  it('setenv, printenv, saveenv, a reset, printenv: what is stored counts, not what is in memory', () => {
    const stored = new Map([['serial#', '0F9D1C3A-5D0E-4A52-9D3E-1B5B0A1F0001']]);
    const { outcome, board } = run(flashing(TARGET), { stored });
    expect(outcome).toMatchObject({
      kind: 'done',
      value: {
        outcome: 'written',
        identity: { via: 'uboot', uid: '0f9d1c3a-5d0e-4a52-9d3e-1b5b0a1f0001', layout: 'saveenv' },
        pointer: { ...TARGET, sequence: 1, attempts: 3, fallback: '' },
      },
    });
    expect(Object.fromEntries(stored)).toMatchObject({
      bw_image: 'debian-12',
      bw_sequence: '1',
      bw_phase: 'deploy',
    });
    // Off and on, once to read what was stored, once to let it go its way.
    expect(board.starts).toBe(3);
    const again = run(flashing({ ...TARGET, image: 'beta' }), { stored });
    expect(again.outcome).toMatchObject({ value: { old: { image: 'debian-12' }, pointer: { sequence: 2 } } });
    expect(run(flashing({ ...TARGET, image: 'beta' }), { stored }).board.entered).not.toContain(
      expect.stringContaining('setenv'),
    );
  });

  it('a flash that cannot be written is a failed verify, and the node goes its way', () => {
    const result = run(flashing(TARGET), { saveFails: true });
    expect(failure(result)).toMatchObject({
      kind: 'verify',
      message: 'U-Boot could not save its environment: Timeout writing to Flash',
    });
    expect(result.board.entered.at(-1)).toBe('reset');
  });
});

describe('typing', () => {
  it('a key lost, doubled or turned on the way never reaches a command', () => {
    let count = 0;
    const kinds = [
      () => undefined,
      (key: string) => key + key,
      (key: string) => String.fromCharCode(key.charCodeAt(0) ^ 1),
    ];
    const stored = new Map<string, string>();
    const { outcome, board } = run(flashing(TARGET), {
      stored,
      onKey: (key) => (key >= ' ' && ++count % 197 === 0 ? kinds[(count / 197) % 3]!(key) : key),
    });
    if (outcome.kind === 'failed') throw outcome.error;
    expect(outcome.value.outcome).toBe('written');
    expect(Object.fromEntries(stored)).toMatchObject({ bw_image: 'debian-12', bw_disks: 'n1-root' });
    for (const line of board.entered)
      expect(line).toMatch(/^(?:(?:printenv|setenv|version|saveenv)\b.*; echo bw=\$\?|reset)$/);
    expect(count).toBeGreaterThan(500);
  });

  it('a board that gives nothing back any more: pulled', () => {
    let cut = false;
    const error = failure(
      run(flashing(TARGET), {
        onKey: (key) => {
          cut ||= key === 'q';
          return cut ? undefined : key;
        },
      }),
    );
    expect(error).toMatchObject({ kind: 'pulled', message: expect.stringContaining('cable') });
  });
});

it('an autoboot that no key stops: locked', () => {
  const result = run((line) => withNode(line, REACH, (end) => show(end, { log: false })), {
    interruptible: false,
  });
  expect(failure(result)).toMatchObject({ kind: 'locked', message: expect.stringContaining('bootdelay') });
  expect(result.board.entered).toEqual([]);
});
