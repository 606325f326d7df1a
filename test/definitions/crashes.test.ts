/**
 * Define, undefine, joins and repairs with a crash of either side between any two things that are sent or written: both
 * stores end consistent. The stores and the decisions are the real ones; processes and connections are gone where they crash.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Membership } from '../../agent/linux/membership.ts';
import type { Definition, LocalContent, LocalStore } from '../../agent/protocol/definition.ts';
import { NO_CONTENT, withDefinition, withoutCluster } from '../../agent/protocol/local-content.ts';
import type { AgentMessage, ImagerMessage } from '../../agent/protocol/messages.ts';
import { Admissions, type Ask } from '../../imager/agents/admissions.ts';
import { type PushAnswer, PushError } from '../../imager/agents/pushes.ts';
import type { Admission } from '../../imager/definitions/admit.ts';
import { Definitions, TakenError } from '../../imager/definitions/store.ts';
import type { Enrolment } from '../../imager/model/config.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import type { Registry } from '../../imager/registry/registry.ts';
import { temporarySigner } from '../../imager/signing/signer.ts';

/** A process is gone: nothing of what it would have done comes about. */
class Crash extends Error {}

/** What survives a crash of the agent. */
class KeptStore implements LocalStore {
  content: LocalContent = NO_CONTENT;
  read(): LocalContent {
    return this.content;
  }
  define(definition: Definition): void {
    this.content = withDefinition(this.content, definition);
  }
  erase(clusterId: string): void {
    this.content = withoutCluster(this.content, clusterId);
  }
  point(clusters: { current: string | null; target: string | null }): void {
    this.content = { ...this.content, ...clusters };
  }
}

interface Machine {
  name: string;
  uid: string;
  store: KeptStore;
}

const SIGNER = temporarySigner();
const NAMES = ['n1', 'n2'] as const;

class World {
  readonly registry = new MemoryRegistry();
  readonly machines = NAMES.map((name): Machine => ({ name, uid: `serial:${name}`, store: new KeptStore() }));
  readonly enrolment: Enrolment;
  #admissions: Admissions | undefined;
  /** Places where something can crash until it does; Infinity: never. */
  #left = Number.POSITIVE_INFINITY;
  #who: 'imager' | 'agent' = 'imager';

  constructor(enrolment: Enrolment) {
    this.enrolment = enrolment;
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
      const member = new Membership(machine.uid, machine.store);
      const current = member.current();
      if (current !== undefined)
        // Else the connection would not come about.
        expect(admissions.definitions.byId(current.id)?.key).toEqual(current.key);
      const from = { address: '10.0.0.9', identity: current?.id };
      const node = { name: machine.name, hostname: machine.name };
      return await admissions.admit(node, member.told(), from, this.#ask(member));
    } catch (error) {
      return this.#crashed(error);
    }
  }

  async undefine(machine: Machine, connected: boolean): Promise<void> {
    try {
      const member = new Membership(machine.uid, machine.store);
      const ask = connected ? this.#ask(member) : undefined;
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
  const local = new Membership(machine.uid, machine.store).current();
  const global = definitions.ofNode(machine.name);
  switch (refused) {
    case undefined:
      expect(global).toMatchObject({ state: 'defined', uid: machine.uid });
      expect(global).not.toHaveProperty('correcting');
      expect(local).toEqual(definitions.copyOf(global!));
      return;
    case 'not-defined':
      // Deleted, or never there: on both sides.
      expect([local, global?.state === 'defined']).toEqual([undefined, false]);
      return;
    case 'no-key':
      // Only where the machine's store was lost.
      expect([local, global?.state]).toEqual([undefined, 'defined']);
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
    machine.uid = world.machines.find((other) => other !== machine)!.uid;
  },
  'lose its store': async (_, machine) => {
    machine.store.content = NO_CONTENT;
  },
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
      fc.array(deed, { minLength: 1, maxLength: 10 }),
      async (enrolment, deeds) => {
        const world = new World(enrolment);
        for (const { what, machine, who, at } of deeds) {
          if (at >= 0) world.arm(who, at);
          await DEEDS[what]!(world, world.machines[machine]!);
          world.disarm();
        }
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
  undefine: { before: ['join'], cut: 'undefine connected' },
  define: { before: ['join', 'undefine connected'], cut: 'define' },
};

test.each(Object.entries(STORIES))('%s, cut at every place', async (_, { before, cut, refused, kept }) => {
  for (const who of ['imager', 'agent'] as const) {
    let cuts = 0;
    for (let at = 0; ; at++) {
      const world = new World('first');
      const machine = world.machines[0]!;
      for (const what of before) await DEEDS[what]!(world, machine);
      const definition = machine.store.content.definitions[0]?.id;
      world.arm(who, at);
      await DEEDS[cut]!(world, machine);
      const never = world.disarm();
      const reason = await settled(world, machine);
      await check(world, machine, reason);
      if (cut === 'join') expect(reason).toBe(refused);
      // Nothing was defined anew.
      if (kept) expect(machine.store.content.definitions[0]?.id).toBe(definition);
      // One that was deleted may be left: that the node has erased its copy is believed with the key of it alone.
      const states = world.registry.range<{ state: string }>(['definition']).map(({ value }) => value.state);
      expect(states.filter((state) => state !== 'undefining')).toEqual(
        reason === undefined ? ['defined'] : [],
      );
      expect(states.length).toBeLessThan(2);
      if (never) break;
      cuts++;
    }
    if (who === 'imager' && cut !== 'join') expect(cuts).toBeGreaterThan(0);
  }
});
