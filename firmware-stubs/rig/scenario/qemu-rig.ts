/** Scenarios on emulated machines: QEMU nodes with real firmware and kernels, and the imager as it is. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { BootPointer } from '../../../agent/protocol/pointer/record.ts';
import { systemClock } from '../../../imager/journal/clock.ts';
import { controlSocketPath } from '../../../imager/model/config.ts';
import type { RigImager } from '../imager.ts';
import { Lab } from '../lab.ts';
import type { RigAction } from './action.ts';
import { disksOf } from './disks.ts';
import type { RigEvent } from './event.ts';
import { ImagerSteps } from './imager-steps.ts';
import { type Drop, dropRules } from './network-faults.ts';
import { QemuNode } from './qemu-node.ts';
import { EventQueue } from './queue.ts';
import type { OpenOptions, ScenarioRig } from './rig.ts';
import type { Scenario, ScenarioImager } from './scenario.ts';
import { stockFor } from './stock.ts';

const BASE = 'web';
/** The kernel finds no such program, panics, and the machine starts again. */
const NO_BOOT = 'rdinit=/missing panic=1';

export class QemuRig implements ScenarioRig {
  readonly #scenario: Scenario;
  readonly #lab: Lab;
  readonly #config: string;
  readonly #queue = new EventQueue(() => this.now());
  readonly #nodes: QemuNode[] = [];
  #drops: Drop[] = [];
  /** The one that serves; undefined while there is none. */
  #imager: RigImager | undefined;
  #latestImager: RigImager | undefined;
  #steps: ImagerSteps[] = [];
  #startedAt = systemClock.now();

  private constructor(scenario: Scenario, lab: Lab, config: string) {
    this.#scenario = scenario;
    this.#lab = lab;
    this.#config = config;
  }

  /** Nodes flashed and off, the imager serving and stocked. Rejects with nothing left running. */
  static async open(scenario: Scenario, { dir, say }: OpenOptions): Promise<QemuRig> {
    const stock = await stockFor(scenario.nodes[0]!.rig, say);
    const { address, prefix } = scenario.imager.config.network;
    const config = writeConfig(dir, scenario.imager.content);
    const lab = await Lab.open({ dir, address: `${address}/${prefix}` });
    const rig = new QemuRig(scenario, lab, config);
    try {
      await rig.#startImager();
      await rig.#stock(stock);
      await rig.#addNodes(dir);
    } catch (error) {
      await rig.close();
      throw error;
    }
    rig.#startedAt = systemClock.now();
    return rig;
  }

  now(): number {
    return this.#since(systemClock.now());
  }

  next(until: number): Promise<RigEvent | undefined> {
    return this.#queue.next(until);
  }

  async perform(action: RigAction): Promise<void> {
    switch (action.kind) {
      case 'power':
        return this.#node(action.node).power(action.power);
      case 'flash':
        return this.#node(action.node).flash(action);
      case 'cable':
        return this.#node(action.node).cable(action.cable);
      case 'write':
        return this.#node(action.node).write(action.offset, action.bytes);
      case 'network':
        return this.#network(action);
      case 'imager':
        return this.#performImager(action.imager);
    }
  }

  pointer(node: string): BootPointer | undefined {
    return this.#node(node).pointer;
  }

  logs(): string {
    return this.#latestImager?.tail() ?? '';
  }

  async close(): Promise<void> {
    this.#imager = undefined;
    for (const each of [...this.#nodes, ...this.#steps]) each.close();
    await this.#lab.close();
  }

  #since(at: number): number {
    return at - this.#startedAt;
  }

  #node(name: string): QemuNode {
    return this.#nodes.find((node) => node.name === name)!;
  }

  async #stock({ arch, kernel, initrd, args, base }: Awaited<ReturnType<typeof stockFor>>): Promise<void> {
    for (const [name, { boots }] of this.#scenario.images) {
      const files = ['--arch', arch, '--kernel', kernel, '--initrd', initrd];
      await this.#verb(['image', 'add', name, ...files, '--args', boots ? args : `${args} ${NO_BOOT}`]);
    }
    await this.#verb(['base', 'add', BASE, base]);
    for (const disk of disksOf(this.#scenario)) await this.#verb(['disk', 'create', disk, '--base', BASE]);
  }

  async #addNodes(dir: string): Promise<void> {
    for (const node of this.#scenario.nodes)
      this.#nodes.push(
        await QemuNode.add(node, {
          ...{ lab: this.#lab, imager: this.#scenario.imager, eeprom: join(dir, `${node.name}.eeprom`) },
          now: () => this.now(),
          since: (at) => this.#since(at),
          tell: (event) => this.#queue.push(event),
        }),
      );
  }

  async #verb(args: string[]): Promise<void> {
    const { code, stderr } = await this.#lab.imagerCommand(args, { timeoutMs: 120_000 });
    if (code !== 0) throw new Error(`imager ${args.join(' ')}: exit ${code}\n${stderr}`);
  }

  /** An imager that ends by itself ends the scenario. */
  async #startImager(): Promise<void> {
    const imager = await this.#lab.startImager({ config: this.#config });
    await this.#followImager();
    this.#imager = imager;
    this.#latestImager = imager;
    void imager.ended.then((why) => {
      if (this.#imager === imager) this.#queue.break(new Error(`${why}\n${imager.tail()}`));
    });
  }

  /** Nodes that the imager knows by name. */
  async #followImager(): Promise<void> {
    const { config } = this.#scenario.imager;
    const socket = controlSocketPath({ ...config, state: join(this.#lab.dir, 'state') });
    const known = this.#scenario.nodes.filter((node) => config.nodes.some(({ name }) => name === node.name));
    this.#steps = await Promise.all(
      known.map(({ name }) =>
        ImagerSteps.follow(socket, name, ({ component, step, at, reason, detail = {} }) =>
          this.#queue.push({
            ...{ at: this.#since(at), node: name, kind: 'step', component, step, detail },
            ...(reason === undefined ? {} : { reason }),
          }),
        ),
      ),
    );
  }

  async #performImager(what: 'start' | 'stop' | 'kill'): Promise<void> {
    const tell = (state: 'started' | 'stopped' | 'killed') =>
      this.#queue.push({ kind: 'imager', at: this.now(), state });
    const imager = this.#imager;
    if (what === 'start') {
      if (imager !== undefined) return;
      await this.#startImager();
      return tell('started');
    }
    this.#imager = undefined;
    if (what === 'stop') await imager?.stop();
    else await imager?.kill();
    if (imager !== undefined) tell(what === 'stop' ? 'stopped' : 'killed');
  }

  async #network(action: Extract<RigAction, { kind: 'network' }>): Promise<void> {
    // As Lab names them.
    const tap = `tap${this.#scenario.nodes.findIndex(({ name }) => name === action.node)}`;
    if (action.network === 'heal') this.#drops = this.#drops.filter((drop) => drop.tap !== tap);
    else this.#drops.push({ tap, traffic: action.traffic });
    const input = dropRules(this.#drops, this.#scenario.imager.config.ports);
    await this.#lab.space.check(['nft', '-f', '-'], { input });
  }
}

/** Writes the imager's configuration into `dir`, and gives its path. What an earlier run's imager left there is removed. */
export function writeConfig(dir: string, content: ScenarioImager['content']): string {
  mkdirSync(dir, { recursive: true });
  for (const left of ['state', 'imager.log']) rmSync(join(dir, left), { recursive: true, force: true });
  const config = join(dir, 'imager.yaml');
  writeFileSync(config, stringify({ state: './state', ...content }));
  return config;
}
