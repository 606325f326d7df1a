/** firmware-stubs/uefi under OVMF, against dnsmasq: the table of decisions, in one run of the machine, over its serial line. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { crc32 } from '../../agent/protocol/crc32.ts';
import { LARGEST_SLOT, slotPair } from '../../agent/protocol/pointer/slot-pair.ts';
import type { SerialAnswer, SerialRequest } from '../../agent/protocol/serial/operations.ts';
import { expandRun, runAt } from '../../agent/protocol/serial/run.ts';
import { setListening, variableEeprom } from '../../firmware-stubs/rig/uefi-store.ts';
import { consoleLines, decide, storeAfter } from '../../firmware-stubs/simulated/decide.ts';
import { openPort } from '../../imager/serial/port.ts';
import { reach } from '../../imager/serial/reach.ts';
import { runOnLine } from '../../imager/serial/run.ts';
import { type LineState, type Task, wait } from '../../imager/serial/task.ts';
import { openBootLab, pointer } from './boot-lab.ts';
import { type DecisionCase, decisionCases, storeOf } from './decisions.ts';

// Generous: the machine may be busy with other tests.
const IN_TIME = { withinMs: 90_000 };
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });
const LAYOUT = slotPair('efivars', LARGEST_SLOT);
const PIECE = 256;

let boot: Awaited<ReturnType<typeof openBootLab>>;
const lines: string[] = [];
beforeAll(async () => {
  // After each failure it listens for so long: no case begins by itself while the test is held up.
  boot = await openBootLab('x86', { firmware: 'uefi-stub', serial: 'pty', listenMilliseconds: 60_000 });
  boot.node.onLine(({ text }) => lines.push(text));
  await boot.node.powerOn();
});
afterAll(() => boot?.close());

/** Does `work` as a technician at the node's port does. */
async function atTheLine<T>(work: () => Task<T>): Promise<T> {
  const line = await openPort(boot.node.serialPort, 115_200);
  function* task(state: LineState): Task<T> {
    yield* reach(state, { ...IN_TIME, uboot: false });
    return yield* work();
  }
  try {
    return await runOnLine(line, { task, baud: 115_200, tell: () => {} });
  } finally {
    await line.close();
  }
}

function* ask(request: SerialRequest): Task<SerialAnswer> {
  const got = yield* wait({ request, tries: 30 });
  if (got.kind !== 'answer') throw new Error(`no answer to ${request.op}`);
  return got.answer;
}

/** Writes both variables, and has the node start again. */
function* put(store: Uint8Array): Task<void> {
  for (let offset = 0; offset < store.length; offset += LARGEST_SLOT) {
    const slot = store.subarray(offset, offset + LARGEST_SLOT);
    for (let at = 0; at < slot.length; ) {
      const run = runAt(slot, at, slot.length, PIECE);
      expect(yield* ask({ op: 'write', offset: at, run })).toEqual({ op: 'write' });
      at += run.length;
    }
    const crc = crc32(slot);
    expect(yield* ask({ op: 'commit', offset, length: slot.length, crc })).toEqual({ op: 'commit', crc });
  }
  yield* ask({ op: 'reset' });
}

function* readStore(): Task<Uint8Array> {
  const store = new Uint8Array(LAYOUT.size);
  for (let at = 0; at < store.length; ) {
    const answer = yield* ask({ op: 'read', offset: at, length: store.length - at, most: PIECE });
    if (answer.op !== 'read') throw new Error(`read was answered with ${answer.op}`);
    store.set(expandRun(answer.run), at);
    at += answer.run.length;
  }
  return store;
}

/** Until a line that fits has come after the first `from`. */
async function lineAfter(from: number, fits: RegExp): Promise<void> {
  await boot.node.waitForLine(() => lines.slice(from).some((line) => fits.test(line)), IN_TIME);
}

/** What the firmware said of the decision after the first `from` lines; its own lines of DHCP and files left out. */
function saidAfter(from: number): string[] {
  return lines
    .slice(from)
    .filter((line) => /^bootwright: firmware (?!start|dhcp|boot|error no image)/.test(line));
}

/** Its imagers are away but the first, and silent: it is last, and the power cut in the middle of it. */
const cases = decisionCases(LAYOUT);
const longest = cases.find(({ name }) => name === 'the longest record there is')!;

test.each(cases.filter((given) => given !== longest))('$name', async (given) => {
  const before = storeOf(LAYOUT, given);
  const decision = decide(LAYOUT, before);
  const from = lines.length;
  await atTheLine(() => put(before));
  // Neither alpha nor beta has a kernel worth starting.
  const end = 'error' in decision ? decision.error : `no image ${decision.image} from 10.77.0.1: `;
  await lineAfter(from, new RegExp(`^bootwright: firmware error ${end}`));
  expect(saidAfter(from)).toEqual(consoleLines(decision));
  expect(await atTheLine(readStore)).toEqual(storeAfter(before, decision));
});

test('an imager that does not serve is left for the next one', async () => {
  await boot.lab.space.check(['ip', 'address', 'add', '10.77.0.2/24', 'dev', 'br0']);
  const imagers = ['10.77.0.2', '10.77.0.1'];
  const slots: DecisionCase['slots'] = [pointer({ image: 'missing', imagers }), undefined];
  const from = lines.length;
  await atTheLine(() => put(storeOf(LAYOUT, { name: '', slots, expected: { error: '' } })));
  await lineAfter(from, /error no image missing from 10\.77\.0\.1/);
  const asked = lines.slice(from).flatMap((line) => /error no image missing (.*)/.exec(line)?.[1] ?? []);
  expect(asked).toEqual([
    expect.stringMatching(/^from 10\.77\.0\.2: /),
    expect.stringMatching(/^from 10\.77\.0\.1: .*not found/),
  ]);
});

test(`${longest.name}: what was counted outlives a power cut, and a node told not to listen goes on at once`, async () => {
  const before = storeOf(LAYOUT, longest);
  const decision = decide(LAYOUT, before);
  if ('error' in decision) throw new Error(decision.error);
  const from = lines.length;
  await atTheLine(() => put(before));
  await lineAfter(from, /error no image alpha from 10\.77\.0\.1: /);
  expect(saidAfter(from)).toEqual(consoleLines(decision));
  await boot.node.cutPower();
  expect(variableEeprom(boot.eeprom).read(0, LAYOUT.size)).toEqual(storeAfter(before, decision));

  setListening(boot.eeprom, 0);
  await boot.node.powerOn();
  // Sooner than the time it listened before.
  const { detail } = await boot.node.waitForStep('pointer', { withinMs: 50_000 });
  expect(detail).toMatchObject({ image: 'alpha', slot: 1, attempts: 254 });
  // After an error it hears a technician all the same. The attempt is counted by then, into the other variable.
  expect(LAYOUT.active(await atTheLine(readStore))).toBe(0);
});
