/**
 * The world around the decisions of the double reboot (agent/core/next.ts, plan.ts), small enough that every state of it can be
 * visited: one node with its disk, pointer store, firmware and agent, an imager that comes and goes, a power supply. What a node
 * decides is the code itself; so is what its firmware does with a pointer (simulated/decide.ts, over the bytes of a real store).
 *
 * Boot ids are `now` and `then`: all that anybody asks of one is whether it is this boot's.
 */
import { next } from '../../../agent/core/next.ts';
import type { Boot, Effect, Input, Journal, State } from '../../../agent/core/state.ts';
import type { Plan } from '../../../agent/protocol/messages.ts';
import { type BootPointer, FRESH_ATTEMPTS } from '../../../agent/protocol/pointer/record.ts';
import { PointerStore } from '../../../agent/protocol/pointer/store.ts';
import { ubootEnv } from '../../../agent/protocol/pointer/uboot-env.ts';
import { decide } from '../../../firmware-stubs/simulated/decide.ts';
import { type Account, Observer } from './observer.ts';

/** Why a write failed. */
export const DISK_FULL = 'disk full';

/** A script of the model: what its plan says of it, and how its runs may end. `changed`: its file was, of the second deployment. */
export type ModelScript = Plan['scripts'][number] & { fails?: 'may' | 'in-second' | 'on-beta' | 'changed' };

export interface Variant {
  secondReboot: boolean;
  scripts: ModelScript[];
  /** Image of the second deployment; the first has `alpha`. */
  second?: 'alpha' | 'beta';
  /** When an operator flashes it: once the first is over (ready, or up for investigation), or while it is under way, too. */
  flash?: 'after' | 'any';
  /** The kernel of `beta` comes to no agent. */
  broken?: boolean;
  /** The firmware counts no attempts. */
  uncounted?: boolean;
}

/** What is on the node's disk. */
interface Disk {
  /** Deployment of the plan. */
  plan?: string;
  journal?: Journal;
}

type Node =
  /** Waits for an imager, or reads its pointer. */
  | { at: 'firmware' }
  /** The manifest is there, the attempt counted. */
  | { at: 'loading'; image: string }
  | { at: 'agent'; boot: Boot; state: State; queue: Job[] };

/** What is left of a list of effects, and what becomes of a write or a script that was begun. */
type Job =
  | { job: 'effect'; effect: Effect }
  /** What was written reaches the disk. */
  | { job: 'sync' }
  | { job: 'write'; disk: Disk }
  | { job: 'script-ends'; name: string }
  | { job: 'input'; input: Input };

export interface World {
  node: Node;
  pointer: BootPointer;
  disk: Disk;
  /** The disk as it becomes with the write under way: a power cut leaves either. */
  written?: Disk;
  imager: boolean;
  flashed: boolean;
  account: Account;
}

export interface Step {
  label: string;
  /** Nobody's fault and no luck: what goes on by itself, with the imager there and scripts that end well where they can. */
  benign: boolean;
  world: World;
}

const FIRST: BootPointer = {
  ...{ sequence: 1, image: 'alpha', disks: ['root'], imagers: ['10.77.0.1'], cluster: 'lab' },
  ...{ deployment: 'first', phase: 'deploy', attempts: FRESH_ATTEMPTS, fallback: '' },
};

export class Model {
  readonly variant: Variant;
  readonly observer: Observer;
  readonly #plans: Record<string, Plan>;

  constructor(variant: Variant) {
    this.variant = variant;
    const { secondReboot } = variant;
    const scripts = variant.scripts.map(({ fails: _, ...script }) => script);
    const services = { init: ['/sbin/init'], ports: [], timeoutSeconds: 1 };
    const plan = (deployment: string): Plan => ({ deployment, secondReboot, scripts, services });
    this.#plans = { first: plan('first'), second: plan('second') };
    this.observer = new Observer(variant);
  }

  start(): World {
    return {
      ...{ node: { at: 'firmware' }, pointer: FIRST, disk: {}, imager: true, flashed: false },
      account: this.observer.start(),
    };
  }

  /** Everything that can happen next. Throws Violation. */
  steps(world: World): Step[] {
    const steps: Step[] = [];
    steps.push({ label: 'imager', benign: !world.imager, world: { ...world, imager: !world.imager } });
    if (world.node.at === 'firmware') steps.push(...this.#firmware(world));
    else {
      steps.push(...this.#cuts(world));
      if (world.node.at === 'loading') steps.push(...this.#kernel(world, world.node.image));
      else steps.push(...this.#agent(world, world.node), ...this.#operator(world, world.node));
    }
    return steps;
  }

  #firmware(world: World): Step[] {
    if (!world.imager) return [];
    const { pointer } = world;
    if (this.variant.uncounted === true)
      return [
        { label: 'load', benign: true, world: { ...world, node: { at: 'loading', image: pointer.image } } },
      ];
    const { image, attempts } = decisionOf(pointer);
    return [
      {
        label: `load ${image}`,
        benign: true,
        world: { ...world, node: { at: 'loading', image }, pointer: { ...pointer, attempts } },
      },
    ];
  }

  #kernel(world: World, image: string): Step[] {
    if (!world.imager) return [];
    if (this.variant.broken === true && image === 'beta')
      return [{ label: 'panic', benign: true, world: this.#off(world, world.disk) }];
    const { pointer } = world;
    const boot: Boot = {
      bootId: 'now',
      pointer,
      bootedImage: image,
      firmwareCounts: this.variant.uncounted !== true,
    };
    const account = this.observer.boots(world.account, world);
    return [
      {
        label: 'kernel',
        benign: true,
        world: this.#take({ ...world, account }, boot, { at: 'starting' }, { kind: 'started', boot }),
      },
    ];
  }

  /** The power goes, and comes again at once: nothing can happen to a node without power. */
  #cuts(world: World): Step[] {
    const { disk, written, account } = world;
    const cut = (label: string, left: Disk, at: Account): Step => ({
      ...{ label, benign: false },
      world: this.#off({ ...world, account: this.observer.cut(at) }, left),
    });
    const without = cut('cut', disk, account);
    if (written === undefined) return [without];
    return [without, cut('cut, written', written, this.observer.stored(account, disk, written))];
  }

  /** What outlives a boot. */
  #off({ written: _, ...world }: World, disk: Disk): World {
    const { journal } = disk;
    return {
      ...world,
      node: { at: 'firmware' },
      disk: journal?.bootId === 'now' ? { ...disk, journal: { ...journal, bootId: 'then' } } : disk,
      account: this.observer.off(world.account),
    };
  }

  #operator(world: World, node: Extract<Node, { at: 'agent' }>): Step[] {
    const { variant } = this;
    const over = (node.state.at === 'ready' || node.state.at === 'failed') && node.queue.length === 0;
    const { second } = variant;
    if (world.flashed && over && node.boot.pointer?.deployment === 'first')
      return [{ label: 'restart', benign: true, world: this.#off(world, world.disk) }];
    if (second === undefined || world.flashed || !world.imager || !(over || variant.flash === 'any'))
      return [];
    const pointer: BootPointer = {
      ...{ ...world.pointer, image: second, deployment: 'second' },
      ...{ phase: 'deploy', attempts: FRESH_ATTEMPTS },
    };
    return [{ label: 'flash', benign: true, world: { ...world, pointer, flashed: true } }];
  }

  #agent(world: World, node: Extract<Node, { at: 'agent' }>): Step[] {
    const [job, ...queue] = node.queue;
    if (job === undefined) return [];
    const after: World = { ...world, node: { ...node, queue } };
    const put = (...jobs: Job[]): World => ({ ...after, node: { ...node, queue: [...jobs, ...queue] } });
    const only = (label: string, to: World): Step[] => [{ label, benign: true, world: to }];
    switch (job.job) {
      case 'input':
        return only(job.input.kind, this.#take(after, node.boot, node.state, job.input));
      case 'write':
        if (!world.imager) return [];
        return [
          ...only('write', { ...put({ job: 'sync' }), written: job.disk }),
          { label: 'write fails', benign: false, world: this.#writeFails(world, node) },
        ];
      case 'sync': {
        if (!world.imager) return [];
        const { written, ...rest } = after;
        return only('sync', {
          ...rest,
          disk: written!,
          account: this.observer.stored(rest.account, world.disk, written!),
        });
      }
      case 'script-ends': {
        if (!world.imager) return [];
        return this.#outcomes(job.name, node.boot).map(({ well, benign }) => {
          const input: Input = well ? { kind: 'did', detail: {} } : { kind: 'scriptFailed', why: job.name };
          const to = put({ job: 'input', input });
          return {
            label: `${job.name} ${well ? 'ended' : 'failed'}`,
            benign,
            world: { ...to, account: this.observer.scriptEnded(to.account, job.name, well) },
          };
        });
      }
      case 'effect':
        return this.#effect(world, after, put, job.effect).map((to) => ({
          label: words(job.effect),
          benign: true,
          world: to,
        }));
    }
  }

  #effect(world: World, after: World, put: (...jobs: Job[]) => World, effect: Effect): World[] {
    const { account } = world;
    // The disk is the imager's: without one the kernel waits. So does who asks for a plan.
    const waits = !world.imager && !['report', 'point', 'reboot', 'outputs'].includes(effect.do);
    if (waits) return [];
    switch (effect.do) {
      case 'report':
        return [{ ...after, account: this.observer.reported(account, effect, world) }];
      case 'mount': {
        const { journal, plan } = world.disk;
        const { deployment } = effect.pointer;
        const known = journal?.deployment === deployment && plan === deployment;
        const stored = known ? { journal, plan: this.#plans[plan]! } : undefined;
        return [put({ job: 'input', input: { kind: 'mounted', stored } })];
      }
      case 'ask':
        // Of the deployment that the pointer named at the hello: a node that has connected anew may have been flashed.
        return [...new Set([account.deployment, world.pointer.deployment])].map((deployment) =>
          put({ job: 'input', input: { kind: 'plan', plan: this.#plans[deployment]! } }),
        );
      case 'install': {
        const plan = effect.plan.deployment;
        const { disk } = world;
        return [
          put(
            { job: 'write', disk: { ...disk, plan } },
            { job: 'write', disk: { plan, journal: effect.journal } },
            { job: 'input', input: { kind: 'installed' } },
          ),
        ];
      }
      case 'journal':
        return [put({ job: 'write', disk: { ...world.disk, journal: effect.journal } })];
      case 'outputs':
        return [after];
      case 'network':
        return [put({ job: 'input', input: { kind: 'networked', outcome: { set: [], faults: [] } } })];
      case 'check': {
        const isChanged = this.observer.isChanged(account, effect.script.name);
        return [isChanged ? put({ job: 'input', input: { kind: 'failed', why: 'changed' } }) : after];
      }
      case 'script': {
        const begun = this.observer.scriptBegins(account, effect.script.name, world);
        return [{ ...put({ job: 'script-ends', name: effect.script.name }), account: begun }];
      }
      case 'services': {
        const to = put({ job: 'input', input: { kind: 'did', detail: {} } });
        return [{ ...to, account: this.observer.services(account) }];
      }
      case 'point': {
        // As pointersOf() has it: nothing of a former deployment is written over a flash.
        const same = effect.pointer.deployment === world.pointer.deployment;
        return [
          same
            ? {
                ...after,
                pointer: effect.pointer,
                account: this.observer.pointed(account, effect.pointer, world),
              }
            : after,
        ];
      }
      case 'reboot':
        return [this.#off({ ...after, account: this.observer.restarts(account, world) }, world.disk)];
    }
  }

  /** The disk is full, or damaged: it is as before, and the rest of the effects is dropped (run.ts). */
  #writeFails(world: World, node: Extract<Node, { at: 'agent' }>): World {
    const queue: Job[] = [{ job: 'input', input: { kind: 'failed', why: DISK_FULL } }];
    return {
      ...{ ...world, node: { ...node, queue } },
      account: this.observer.writeFailed(world.account),
    };
  }

  #take(world: World, boot: Boot, state: State, input: Input): World {
    const transition = next(state, input);
    const queue = transition.effects.map((effect): Job => ({ job: 'effect', effect }));
    return { ...world, node: { at: 'agent', boot, state: transition.state, queue } };
  }

  /** How a run of a script may end. One that fails where it need not is bad luck. */
  #outcomes(name: string, boot: Boot): { well: boolean; benign: boolean }[] {
    const fails = this.variant.scripts.find((script) => script.name === name)?.fails;
    const { bootedImage, pointer } = boot;
    const surely =
      (fails === 'in-second' && pointer?.deployment === 'second') ||
      (fails === 'on-beta' && bootedImage === 'beta');
    if (surely) return [{ well: false, benign: true }];
    const well = { well: true, benign: true };
    return fails === 'may' ? [well, { well: false, benign: false }] : [well];
  }
}

const decisions = new Map<string, { image: string; attempts: number }>();

/** What the firmware makes of a store that holds this pointer, and what that holds once it has counted. */
function decisionOf(pointer: BootPointer): { image: string; attempts: number } {
  const key = pointerKey(pointer);
  let found = decisions.get(key);
  if (found === undefined) {
    const bytes = new Uint8Array(ubootEnv.size);
    const store = new PointerStore(ubootEnv, {
      read: (offset, length) => bytes.slice(offset, offset + length),
      write: (offset, patch) => bytes.set(patch, offset),
    });
    store.write(pointer);
    const decision = decide(ubootEnv, bytes);
    if ('error' in decision) throw new Error(decision.error);
    if (decision.count !== undefined) bytes.set(decision.count.bytes, decision.count.offset);
    found = { image: decision.image, attempts: store.read().pointer!.attempts };
    decisions.set(key, found);
  }
  return found;
}

function words(effect: Effect): string {
  if (effect.do === 'report') return `report ${effect.step}`;
  return effect.do === 'script' ? `begin ${effect.script.name}` : effect.do;
}

/** All that tells two worlds apart, as text. */
export function keyOf({ node, pointer, disk, written, imager, flashed, account }: World): string {
  return [
    ...[nodeKey(node), pointerKey(pointer), diskKey(disk), written === undefined ? '' : diskKey(written)],
    ...[imager ? 'up' : '', flashed ? 'flashed' : '', JSON.stringify(account)],
  ].join('/');
}

function nodeKey(node: Node): string {
  if (node.at === 'firmware') return 'firmware';
  if (node.at === 'loading') return node.image;
  const { boot, state, queue } = node;
  const journal = 'journal' in state ? journalKey(state.journal) : '';
  const todo = 'todo' in state ? state.todo.length : '';
  const why = 'why' in state ? state.why : '';
  const despite = 'despite' in state ? `${state.despite?.fallBack}` : '';
  return `${boot.bootedImage} ${pointerKey(boot.pointer!)} ${state.at} ${why} ${despite} ${journal} ${todo} ${queue.map(jobKey)}`;
}

function jobKey(job: Job): string {
  switch (job.job) {
    case 'effect': {
      const { effect } = job;
      if (effect.do === 'report') return `${effect.step}${JSON.stringify(effect.detail)}`;
      if (effect.do === 'script') return effect.script.name;
      if (effect.do === 'journal') return journalKey(effect.journal);
      return effect.do === 'point' ? pointerKey(effect.pointer) : effect.do;
    }
    case 'sync':
      return 'sync';
    case 'write':
      return diskKey(job.disk);
    case 'script-ends':
      return `${job.name} ends`;
    case 'input':
      return job.input.kind;
  }
}

function pointerKey({ deployment, image, phase, attempts, fallback }: BootPointer): string {
  return `${deployment} ${image} ${phase} ${attempts} ${fallback}`;
}

function diskKey({ plan, journal }: Disk): string {
  return `${plan} ${journal === undefined ? '' : journalKey(journal)}`;
}

function journalKey({ deployment, phase, bootId, done, failed, running }: Journal): string {
  return `${deployment} ${phase} ${bootId} ${done} ${failed} ${running}`;
}
