/**
 * Define, undefine, joins and repairs with a crash of either side between any two things that are sent or written: both
 * stores end consistent. The stores and the decisions are the real ones; processes and connections are gone where they crash.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Membership } from '../../agent/linux/membership.ts';
import { NO_CONTENT } from '../../agent/protocol/local-content.ts';
import type { AgentMessage, ImagerMessage } from '../../agent/protocol/messages.ts';
import { Admissions, type Ask } from '../../imager/agents/admissions.ts';
import { type PushAnswer, PushError } from '../../imager/agents/pushes.ts';
import type { Admission } from '../../imager/definitions/admit.ts';
import { Definitions, TakenError } from '../../imager/definitions/store.ts';
import type { Enrolment } from '../../imager/model/config.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import type { Registry } from '../../imager/registry/registry.ts';
import { temporarySigner } from '../../imager/signing/signer.ts';
import { MemoryLocalStore } from '../fakes/memory-local-store.ts';

/** A process is gone: nothing of what it would have done comes about. */
class Crash extends Error {}

type Place = 'beside its pointer' | 'on its disk';

interface Machine {
  name: string;
  uid: string;
  /** Name of its root disk. */
  disk: string;
  /** Beside its boot pointer; undefined where there is no room. */
  chip: MemoryLocalStore | undefined;
}

const SIGNER = temporarySigner();
const NAMES = ['n1', 'n2'] as const;

class World {
  readonly registry = new MemoryRegistry();
  readonly machines: readonly Machine[];
  readonly disks = new Map<string, MemoryLocalStore>();
  readonly enrolment: Enrolment;
  /** A store was lost. */
  lost = false;
  /** The store that a machine had when it was last taken in: with another one it has not been heard since. */
  readonly #welcomed = new Map<Machine, MemoryLocalStore>();
  #admissions: Admissions | undefined;
  /** Places where something can crash until it does; Infinity: never. */
  #left = Number.POSITIVE_INFINITY;
  #who: 'imager' | 'agent' = 'imager';

  constructor(enrolment: Enrolment, place: Place) {
    this.enrolment = enrolment;
    this.machines = NAMES.map((name) => ({
      ...{ name, uid: `serial:${name}`, disk: `${name}-a` },
      chip: place === 'on its disk' ? undefined : new MemoryLocalStore(),
    }));
  }

  /** Where a machine keeps its definition now. */
  storeOf({ chip, disk }: Machine): MemoryLocalStore {
    if (chip !== undefined) return chip;
    if (!this.disks.has(disk)) this.disks.set(disk, new MemoryLocalStore());
    return this.disks.get(disk)!;
  }

  memberOf(machine: Machine): Membership {
    const member = new Membership(machine.uid, machine.chip);
    if (machine.chip === undefined) member.keepOn(machine.disk, this.storeOf(machine));
    return member;
  }

  /** Whoever it is crashes at the `at`th place from now on. */
  arm(who: 'imager' | 'agent', at: number): void {
    this.#who = who;
    this.#left = at;
  }

  /** Whether the crash asked for has not come. */
  disarm(): boolean {
    const never = this.#left !== Number.POSITIVE_INFINITY && this.#left >= 0;
    this.#left = Number.POSITIVE_INFINITY;
    return never;
  }

  async admissions(): Promise<Admissions> {
    if (this.#admissions === undefined) {
      const definitions = await Definitions.open({
        registry: this.#crashing(),
        ...{ cluster: 'demo', nodes: NAMES, imagers: ['10.0.0.1'], signer: SIGNER },
      });
      this.#admissions = new Admissions({ definitions, enrolment: this.enrolment, clock: { now: () => 0 } });
    }
    return this.#admissions;
  }

  /** One connection of a machine, from its hello on: with the key it has, as which it is known or not. */
  async join(machine: Machine): Promise<Admission | 'crashed'> {
    try {
      const admissions = await this.admissions();
      const member = this.memberOf(machine);
      const current = member.current();
      if (current !== undefined)
        // Else the connection would not come about.
        expect(admissions.definitions.byId(current.id)?.key).toEqual(current.key);
      // As sessions do it (imager/agents/session.ts): with the key of another it is that one, and from the wrong address.
      const known = admissions.definedAs(current?.id ?? '');
      if (known?.deleted === false && known.name !== machine.name)
        return { admitted: false, reason: 'address', why: '', deeds: [] };
      const directory = { flashed: (_: string, __: string, to: string) => to === machine.disk };
      // Each machine is on at its join alone.
      const present = () => Promise.reject(new PushError('not-connected', 'off'));
      const from = { address: '10.0.0.9', identity: current?.id, directory, present };
      const name = known?.name ?? machine.name;
      const node = { name, hostname: name };
      const admission = await admissions.admit(node, member.told(), from, this.#ask(member));
      if (admission.admitted) this.#welcomed.set(machine, this.storeOf(machine));
      return admission;
    } catch (error) {
      return this.#crashed(error);
    }
  }

  otherThan(machine: Machine): Machine {
    return this.machines.find((each) => each !== machine)!;
  }

  /** To a disk of this node's name. What the other one has it is not given (imager/agents/flashes.ts). */
  flash(machine: Machine, name: string): void {
    const disk = `${name}-${machine.disk === `${name}-a` ? 'b' : 'a'}`;
    if (this.otherThan(machine).disk !== disk) machine.disk = disk;
  }

  async undefine(machine: Machine, connected: boolean): Promise<void> {
    try {
      const member = this.memberOf(machine);
      const isThere = connected && this.#welcomed.get(machine) === this.storeOf(machine);
      const ask = isThere ? this.#ask(member) : undefined;
      await (await this.admissions()).undefine(machine.name, () => ask);
    } catch (error) {
      this.#crashed(error);
    }
  }

  async define(machine: Machine, number?: number): Promise<void> {
    try {
      await (await this.admissions()).define(machine.name, number);
    } catch (error) {
      if (!(error instanceof TakenError)) this.#crashed(error);
    }
  }

  #crashed(error: unknown): 'crashed' {
    const { reason } = error as PushError;
    if (!(error instanceof Crash) && !(error instanceof PushError && reason === 'disconnected')) throw error;
    // Its memory is gone with it.
    if (error instanceof Crash) this.#admissions = undefined;
    return 'crashed';
  }

  /** A place where `who` may crash. */
  #place(who: 'imager' | 'agent', crash: Error): void {
    if (who !== this.#who) return;
    if (this.#left-- === 0) throw crash;
  }

  #ask(member: Membership): Ask {
    const gone = () => new PushError('disconnected', 'gone');
    return async (_what, message) => {
      this.#place('imager', new Crash());
      this.#place('agent', gone());
      const answer = done(member, message(1));
      this.#place('agent', gone());
      this.#place('imager', new Crash());
      return answer;
    };
  }

  /** The registry as a process has it that may crash before or after each commit. */
  #crashing(): Registry {
    const { registry } = this;
    return {
      get: (key) => registry.get(key),
      range: (prefix) => registry.range(prefix),
      watch: () => () => {},
      revision: () => registry.revision(),
      close: async () => {},
      transact: async (work) => {
        this.#place('imager', new Crash());
        const result = await registry.transact(work);
        this.#place('imager', new Crash());
        return result;
      },
    };
  }
}

/** As a connection of the agent does it (agent/linux/link.ts). */
function done(member: Membership, message: ImagerMessage): PushAnswer {
  let answer: AgentMessage;
  try {
    answer = member.answer(message as Parameters<Membership['answer']>[0]);
  } catch (error) {
    throw new PushError('refused', (error as Error).message);
  }
  return answer.type === 'identified' ? { identified: { uid: answer.uid, local: answer.local } } : {};
}

/** Lets a machine come until it is taken in, or refused twice with nothing between. Gives why it was refused. */
async function settled(world: World, machine: Machine): Promise<string | undefined> {
  for (let reason: string | undefined, at = 0; at < 6; at++) {
    const before = reason;
    const admission = await world.join(machine);
    if (admission === 'crashed') throw new Error('crashed with nothing armed');
    if (admission.admitted) return undefined;
    reason = admission.reason;
    if (reason === before) return reason;
  }
  throw new Error('never settles');
}

/** What must hold of a machine that has settled. */
async function check(world: World, machine: Machine, refused: string | undefined): Promise<void> {
  const { definitions } = await world.admissions();
  const local = world.memberOf(machine).current();
  const global = definitions.ofNode(machine.name);
  switch (refused) {
    case undefined:
      expect(global).toMatchObject({ state: 'defined', uid: machine.uid });
      expect(global).not.toHaveProperty('correcting');
      expect(local).toEqual(definitions.copyOf(global!));
      expect(global?.disk).toBe(machine.chip === undefined ? machine.disk : undefined);
      return;
    case 'address':
      // It has the disk of a node that is defined on that, or was when its imager crashed, and on no other yet.
      expect(definitions.byId(local?.id ?? '')).toMatchObject({
        state: expect.stringMatching(/^defin/),
        disk: machine.disk,
      });
      expect(definitions.byId(local!.id)?.name).not.toBe(machine.name);
      return;
    case 'not-defined':
      // Deleted, or never there: on both sides.
      expect([local, global?.state === 'defined']).toEqual([undefined, false]);
      return;
    case 'no-key':
      expect([local, global?.state, world.lost]).toEqual([undefined, 'defined', true]);
      return;
    case 'uid-of-other':
      expect(definitions.withUid(machine.uid)?.name).not.toBe(machine.name);
      return;
    default:
      throw new Error(`refused for ${refused}`);
  }
}

/** Of the whole cluster. */
async function checkAll(world: World): Promise<void> {
  const { definitions } = await world.admissions();
  const live = NAMES.map((name) => definitions.ofNode(name)).filter((each) => each !== undefined);
  for (const part of ['number', 'uid', 'id'] as const)
    expect(new Set(live.map((each) => each[part])).size).toBe(live.length);
  const stored = world.registry.range<{ key: Uint8Array }>(['definition']).map(({ value }) => value.key);
  expect(new Set(stored.map((key) => Buffer.from(key).toString('hex'))).size).toBe(stored.length);
}

type Deed = (world: World, machine: Machine) => Promise<unknown>;

const DEEDS: Record<string, Deed> = {
  join: (world, machine) => world.join(machine),
  define: (world, machine) => world.define(machine),
  'define with a number': (world, machine) => world.define(machine, 2),
  'undefine connected': (world, machine) => world.undefine(machine, true),
  'undefine away': (world, machine) => world.undefine(machine, false),
  'replace the hardware': async (_, machine) => {
    machine.uid = `${machine.uid}x`.slice(0, 20);
  },
  'the old hardware back': async (_, machine) => {
    machine.uid = `serial:${machine.name}`;
  },
  'hardware of the other': async (world, machine) => {
    machine.uid = world.otherThan(machine).uid;
  },
  'lose its store': async (world, machine) => {
    world.storeOf(machine).content = NO_CONTENT;
    world.lost = true;
  },
  'flash it to another disk': async (world, machine) => world.flash(machine, machine.name),
  'flash it to a disk that the other has left': async (world, machine) =>
    world.flash(machine, world.otherThan(machine).name),
};

const deed = fc.record({
  what: fc.constantFrom(...Object.keys(DEEDS)),
  machine: fc.nat(1),
  who: fc.constantFrom('imager' as const, 'agent' as const),
  /** -1: no crash. */
  at: fc.integer({ min: -1, max: 12 }),
});

const RUNS = Number(process.env.BOOTWRIGHT_DEFINITION_RUNS ?? 1500);

test('whatever is done, and whoever crashes wherever: at the next joins both stores are consistent', {
  timeout: 600_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<Enrolment>('first', 'always', 'asked'),
      fc.constantFrom<Place>('beside its pointer', 'on its disk'),
      fc.array(deed, { minLength: 1, maxLength: 10 }),
      async (enrolment, place, deeds) => {
        const world = new World(enrolment, place);
        for (const { what, machine, who, at } of deeds) {
          if (at >= 0) world.arm(who, at);
          await DEEDS[what]!(world, world.machines[machine]!);
          world.disarm();
        }
        // One waits for the other, whose disk it has, to be defined elsewhere.
        for (const machine of world.machines) await settled(world, machine);
        for (const machine of world.machines) await check(world, machine, await settled(world, machine));
        await checkAll(world);
      },
    ),
    { numRuns: RUNS },
  );
});

/** What leads up to each of the scenarios, and the deed that is cut short. */
const STORIES: Record<string, { before: string[]; cut: string; refused?: string; kept?: true }> = {
  'first define': { before: [], cut: 'join' },
  'scenario 1': { before: ['join'], cut: 'join', kept: true },
  'scenario 2: deleted while away': {
    before: ['join', 'undefine away'],
    cut: 'join',
    refused: 'not-defined',
  },
  'scenario 2: deleted and wanted again': { before: ['join', 'undefine away', 'define'], cut: 'join' },
  'scenario 3: hardware replaced': { before: ['join', 'replace the hardware'], cut: 'join', kept: true },
  'scenario 4: deleted and replaced': {
    before: ['join', 'undefine away', 'replace the hardware'],
    cut: 'join',
    refused: 'not-defined',
  },
  'flashed to another disk': { before: ['join', 'flash it to another disk'], cut: 'join' },
  'flashed to another disk and back': {
    before: ['join', 'flash it to another disk', 'join', 'flash it to another disk'],
    cut: 'join',
  },
  undefine: { before: ['join'], cut: 'undefine connected' },
  define: { before: ['join', 'undefine connected'], cut: 'define' },
};

test.each(
  Object.entries(STORIES).flatMap(([name, story]) =>
    (['beside its pointer', 'on its disk'] as const).map((place) => [name, place, story] as const),
  ),
)('%s, key %s, cut at every place', async (_, place, { before, cut, refused, kept }) => {
  for (const who of ['imager', 'agent'] as const) {
    let cuts = 0;
    for (let at = 0; ; at++) {
      const world = new World('first', place);
      const machine = world.machines[0]!;
      for (const what of before) await DEEDS[what]!(world, machine);
      const definition = world.storeOf(machine).content.definitions[0]?.id;
      world.arm(who, at);
      await DEEDS[cut]!(world, machine);
      const never = world.disarm();
      const reason = await settled(world, machine);
      await check(world, machine, reason);
      if (cut === 'join') expect(reason).toBe(refused);
      // Nothing was defined anew.
      if (kept) expect(world.storeOf(machine).content.definitions[0]?.id).toBe(definition);
      // One that was deleted may be left: that the node has erased its copy is believed with the key of it alone.
      const states = world.registry.range<{ state: string }>(['definition']).map(({ value }) => value.state);
      expect(states.filter((state) => state !== 'undefining')).toEqual(
        reason === undefined ? ['defined'] : [],
      );
      expect(states.length).toBeLessThanOrEqual(Math.max(1, world.disks.size));
      if (never) break;
      cuts++;
    }
    if (who === 'imager' && cut !== 'join') expect(cuts).toBeGreaterThan(0);
  }
});

test("a disk that its node has left, with the key on it, is the next one's to be defined on", async () => {
  const world = new World('first', 'on its disk');
  const [first, second] = world.machines as [Machine, Machine];
  expect(await settled(world, first)).toBeUndefined();
  const left = world.memberOf(first).current()!;
  await DEEDS['flash it to another disk']!(world, first);
  // Until that one is defined where it is now, its key there is good, and not for others.
  second.disk = 'n1-a';
  expect(await settled(world, second)).toBe('address');
  expect(await settled(world, first)).toBeUndefined();
  expect(await settled(world, second)).toBeUndefined();
  for (const machine of world.machines) await check(world, machine, undefined);
  expect(world.memberOf(second).current()).toMatchObject({ name: 'n2', uid: 'serial:n2' });
  expect((await world.admissions()).keyOf(left.id)).toBeUndefined();
});
