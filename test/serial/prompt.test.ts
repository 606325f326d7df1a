/** Driving U-Boot's prompt in virtual time: the environment as a pointer store, bytes that get lost, prompts that do not come. */
import { describe, expect, it } from 'vitest';
import { SimulatedUboot } from '../../firmware-stubs/simulated/uboot-console.ts';
import { SerialFailure } from '../../imager/serial/failure.ts';
import type { Progress } from '../../imager/serial/progress.ts';
import { type Outcome, SerialSession } from '../../imager/serial/session.ts';
import type { LineState, Task } from '../../imager/serial/task.ts';
import { flash, show, type Target, withNode } from '../../imager/serial/work.ts';

const TARGET: Target = { image: 'debian-12', disks: ['n1-root'], imagers: ['10.77.0.1'], cluster: 'demo' };
const REACH = { withinMs: 10_000, uboot: true };
const AUTOBOOT_MS = 500;
const BYTE_MS = 0.1;

interface World {
  /** Switched on, and interrupted, before anybody asks. */
  atPrompt?: boolean;
  /** What it says before this time comes all at once then: an adapter that holds bytes back. */
  heardFrom?: number;
  /** Its first reset is the last that is heard of it. */
  diesAtReset?: boolean;
  stored?: Map<string, string>;
  interruptible?: boolean | 'stub';
  saveFails?: boolean;
  tell?: (progress: Progress) => void;
  /** Called with each byte on its way to the node; undefined: it is lost. */
  onKey?: (key: string) => string | undefined;
}

/** Runs a task on a board that is switched on after half a second, or is at its prompt from the beginning. */
function run<T>(
  task: (line: LineState) => Task<T>,
  world: World = {},
): { outcome: Outcome<T>; board: SimulatedUboot } {
  const { stored = new Map(), interruptible = true, saveFails = false, onKey = (key) => key } = world;
  const { atPrompt = false, diesAtReset = false, heardFrom = 0 } = world;
  let now = 0;
  const arrivals: { at: number; toNode: boolean; text: string }[] = [];
  const free = { true: 0, false: 0 };
  const put = (toNode: boolean, text: string) => {
    const way = toNode ? 'true' : 'false';
    free[way] = Math.max(free[way], now) + BYTE_MS * text.length;
    arrivals.push({ at: toNode ? free[way] : Math.max(free[way], heardFrom), toNode, text });
  };
  const say = (text: string) => {
    if (!(diesAtReset && board.starts > 1)) put(false, text);
  };
  const board: SimulatedUboot = new SimulatedUboot({
    stored,
    interruptible,
    saveFails,
    send: (text) => say(text),
  });
  const session = new SerialSession<T>({
    ...{ task, baud: 115_200, session: 77, tell: world.tell ?? (() => {}) },
    send: (bytes) => put(true, Buffer.from(bytes).toString('latin1')),
  });
  if (atPrompt) {
    board.start();
    board.receive(' ');
    arrivals.splice(0);
  }
  session.start(now);
  let startsAt = atPrompt ? Number.POSITIVE_INFINITY : 500;
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
    let heard = '';
    while ((arrivals[0]?.at ?? Number.POSITIVE_INFINITY) <= now) {
      const { toNode, text } = arrivals.shift()!;
      if (!toNode) heard += text;
      else if (board.starts > 0) board.receive([...text].map((key) => onKey(key) ?? '').join(''));
    }
    if (heard !== '') session.receive(Buffer.from(heard, 'latin1'), now);
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
    expect(again.board.entered.filter((line) => line.includes('setenv'))).not.toEqual([]);
    const third = run(flashing({ ...TARGET, image: 'beta' }), { stored });
    expect(third.outcome).toMatchObject({ value: { outcome: 'kept' } });
    expect(third.board.entered.filter((line) => line.includes('setenv'))).toEqual([]);
  });

  it('a banner and a prompt that come at once: not found at the prompt, so let go in the end', () => {
    const { outcome, board } = run(flashing(TARGET), { heardFrom: 900 });
    expect(outcome).toMatchObject({ kind: 'done', value: { outcome: 'written' } });
    expect(board.entered.at(-1)).toBe('reset');
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

/** Keeps nothing, and does not say so. */
class Forgetful extends Map<string, string> {
  override set(): this {
    return this;
  }
}

describe('what is in memory is no proof', () => {
  it('at the prompt: a flash that failed is no pointer in force to the next one', () => {
    const stored = new Map<string, string>();
    const failures: unknown[] = [];
    function* twice(line: LineState): Task<unknown> {
      try {
        yield* flashing(TARGET)(line);
      } catch (error) {
        failures.push(error);
      }
      return yield* flashing(TARGET)(line);
    }
    const result = run(twice, { stored, atPrompt: true, saveFails: true });
    expect(failures).toMatchObject([{ kind: 'verify', message: expect.stringContaining('could not save') }]);
    expect(failure(result)).toMatchObject({ kind: 'verify' });
    expect(stored.size).toBe(0);
  });

  it('at the prompt: flashed, and left there', () => {
    const stored = new Map<string, string>();
    const { outcome, board } = run(flashing(TARGET), { stored, atPrompt: true });
    expect(outcome).toMatchObject({ value: { outcome: 'written', pointer: TARGET } });
    expect(stored.get('bw_image')).toBe('debian-12');
    // Off and on to read what is stored, before the write and after it.
    expect(board.starts).toBe(3);
    expect(board.entered.at(-1)).not.toBe('reset');
  });

  it('a reset that lost a byte is typed again: nothing is verified from memory', () => {
    let last = '';
    let lost = 0;
    const result = run(flashing(TARGET), {
      stored: new Forgetful(),
      onKey: (key) => {
        last = (last + key).slice(-4);
        if (!last.endsWith('res')) return key;
        return ++lost === 1 ? undefined : key;
      },
    });
    expect(lost).toBeGreaterThan(1);
    expect(failure(result)).toMatchObject({
      kind: 'verify',
      message: 'the pointer in force is not the one that was written',
    });
  });

  it('a board that does not start again: what it stored is not known', () => {
    const result = run(flashing(TARGET), { diesAtReset: true });
    expect(failure(result)).toMatchObject({
      kind: 'verify',
      message: 'U-Boot did not start again: what it stored is not known',
    });
  });

  it('a board that is let go and does not start: said, but not as if it were not verified', () => {
    const told: string[] = [];
    let cut = false;
    const result = run(flashing(TARGET), {
      tell: ({ step }) => told.push(step),
      onKey: (key) => {
        cut ||= told.includes('verified') && key === '\r';
        return cut ? undefined : key;
      },
    });
    expect(failure(result)).toMatchObject({
      kind: 'unanswered',
      message: expect.stringContaining('off and on'),
    });
  });

  it('a line that goes as the node is let go: what was verified stays written', () => {
    const told: string[] = [];
    const { outcome } = run(flashing(TARGET), {
      tell: ({ step }) => told.push(step),
      onKey: (key) => (told.includes('verified') ? undefined : key),
    });
    expect(outcome).toMatchObject({ kind: 'done', value: { outcome: 'written' } });
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

describe('the stub, which wants Ctrl-C twice', () => {
  it('is flashed, and boots on by itself afterwards', () => {
    const stored = new Map<string, string>();
    const { outcome, board } = run(flashing(TARGET), { stored, interruptible: 'stub' });
    expect(outcome).toMatchObject({ value: { outcome: 'written', pointer: TARGET } });
    expect(board.entered.at(-1)).toMatch(/^reset/);
  });

  it('hears one Ctrl-C of a noisy line: it starts again; any other byte does nothing', () => {
    const said: string[] = [];
    const board = new SimulatedUboot({
      ...{ stored: new Map(), interruptible: 'stub' as const },
      send: (text) => said.push(text),
    });
    board.start();
    board.receive('\r x\x00\x7f\x03 \r');
    board.onTime();
    expect(board.starts).toBe(2);
    board.receive('\r x\x00\x7f');
    board.onTime();
    expect(said.at(-1)).toContain('firmware pointer');
    expect(board.entered).toEqual([]);
  });
});

it('an autoboot that no key stops: locked', () => {
  const result = run((line) => withNode(line, REACH, (end) => show(end, { log: false })), {
    interruptible: false,
  });
  expect(failure(result)).toMatchObject({ kind: 'locked', message: expect.stringContaining('bootdelay') });
  expect(result.board.entered).toEqual([]);
});
