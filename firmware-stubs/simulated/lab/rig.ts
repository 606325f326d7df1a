/** Nodes, an imager and a network without hardware, in virtual time, for one scenario. */
import { FRESH_ATTEMPTS } from '../../../agent/protocol/pointer/record.ts';
import type { BootEvent } from '../../../imager/journal/event.ts';
import type { ImagerConfig } from '../../../imager/model/config.ts';
import type { OutputView } from '../../../imager/model/views.ts';
import type { RigAction, Traffic } from '../../rig/scenario/action.ts';
import { disksOf } from '../../rig/scenario/disks.ts';
import type { PacketKind, RigEvent } from '../../rig/scenario/event.ts';
import type { ScenarioRig } from '../../rig/scenario/rig.ts';
import type { Scenario, ScenarioNode } from '../../rig/scenario/scenario.ts';
import { type LineMeaning, lineMeaning } from '../../rig/serial.ts';
import { SimulatedDisk } from './disk.ts';
import { SimulatedImager } from './imager.ts';
import { type Fate, SimulatedNetwork } from './network.ts';
import { SimulatedNode } from './node.ts';
import { loadFile, type ServiceParts, takeAddress } from './services.ts';
import { VirtualTime } from './time.ts';

type Without<T> = T extends unknown ? Omit<T, 'at'> : never;

interface Fault {
  traffic: Traffic;
  lost: boolean;
  delay: number;
}

/** How long something that was asked for may take. */
const PERFORM_MS = 60_000;
const CLEAR_MS = 200;
const LOG_LINES = 200;

/** `random`: whatever is left to chance; the same numbers, the same events. */
export class SimulatedRig implements ScenarioRig {
  readonly #time: VirtualTime;
  readonly #network: SimulatedNetwork;
  readonly #imager: SimulatedImager;
  readonly #config: ImagerConfig;
  readonly #disks = new Map<string, SimulatedDisk>();
  readonly #nodes = new Map<string, SimulatedNode>();
  readonly #faults = new Map<string, Fault[]>();
  /** Of each node: how often its firmware has started, and when its power came. */
  readonly #counts = new Map<string, { boot: number; poweredOnAt: number }>();
  readonly #unplugged = new Set<string>();
  readonly #log: string[] = [];
  #events: RigEvent[] = [];
  #flashes = 0;

  constructor(scenario: Scenario, random: () => number) {
    const { config } = scenario.imager;
    this.#config = config;
    this.#time = new VirtualTime(random);
    this.#network = new SimulatedNetwork(this.#time, (node, packet) => {
      this.#emit({ kind: 'packet', node, packet });
      return this.#fate(node, packet);
    });
    this.#imager = new SimulatedImager({
      ...{ time: this.#time, config, images: scenario.images, disks: this.#disks },
      addressOf: (node) => this.#addressOf(node) ?? '',
      sink: (event) => this.#heard(event),
    });
    this.#network.listen(config.network.address, this.#imager);
    for (const disk of disksOf(scenario)) this.#disks.set(disk, new SimulatedDisk());
    for (const node of scenario.nodes) this.#addNode(node, scenario, random);
  }

  now(): number {
    return this.#time.now();
  }

  async next(until: number): Promise<RigEvent | undefined> {
    await this.#time.run(until, () => this.#events.length > 0);
    return this.#events.shift();
  }

  async perform(action: RigAction): Promise<void> {
    switch (action.kind) {
      case 'power':
        if (action.power === 'on') this.node(action.node).powerOn();
        else this.node(action.node).cutPower();
        return;
      case 'flash':
        return this.#flash(action);
      case 'network':
        return this.#trouble(action);
      case 'imager':
        return this.#switchImager(action.imager);
      case 'cable':
        if (action.cable === 'pull') this.#unplugged.add(action.node);
        else this.#unplugged.delete(action.node);
        return;
      case 'write': {
        const { chip, powered } = this.node(action.node);
        if (powered) throw new Error(`${action.node} is on: its pointer store is its own`);
        if (action.offset + action.bytes.length > chip.bytes.length)
          throw new Error(`the pointer store of ${action.node} has ${chip.bytes.length} bytes`);
        chip.bytes.set(action.bytes, action.offset);
      }
    }
  }

  pointer(node: string) {
    return this.node(node).pointers().read().pointer;
  }

  /** What scripts of a node left, as the imager knows it. */
  outputs(node: string): OutputView[] {
    return this.#imager.outputs.of(node);
  }

  logs(): string {
    return this.#log.join('\n');
  }

  async close(): Promise<void> {
    for (const node of this.#nodes.values()) node.cutPower();
    this.#events = [];
  }

  get imager(): SimulatedImager {
    return this.#imager;
  }

  /** Throws where there is no such node. */
  node(name: string): SimulatedNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`there is no node ${name}`);
    return node;
  }

  #addNode(node: ScenarioNode, scenario: Scenario, random: () => number): void {
    const { name, rig, mac, uid, pointer } = node;
    const services: ServiceParts = {
      ...{ time: this.#time, network: this.#network, imager: this.#imager, node: name },
      address: this.#addressOf(name),
      sink: (event) => this.#heard(event),
      blocks: () => this.#fate(name, 'tftp-data'),
    };
    const made = new SimulatedNode(
      { time: this.#time, random, stops: scenario.writeStops, ...{ name, rig, mac, uid } },
      {
        dhcp: (life) => takeAddress(services, life),
        reachable: (address) => this.#network.has(address),
        fetch: (life, image, file) => loadFile(services, life, image, file),
        boots: (image) => this.#imager.image(image)?.boots ?? false,
        disks: {
          attach: (imager, disk, lost) => this.#attach(name, imager, disk, lost),
          clear: () => this.#untilClear(name),
        },
        connect: (packet, address, timeoutMs) => this.#network.connect(name, packet, address, timeoutMs),
        ask: (address, bytes, timeoutMs) => this.#network.ask(name, address, bytes, timeoutMs),
        line: (text) => this.#say(name, text),
        power: (step, reason) => {
          if (step === 'power-on') this.#counts.get(name)!.poweredOnAt = this.now();
          this.#tell(name, { component: 'rig', step, ...(reason === undefined ? {} : { reason }) });
        },
        wrote: (slot, stored, length) => this.#emit({ kind: 'write', node: name, slot, stored, length }),
      },
    );
    this.#nodes.set(name, made);
    this.#counts.set(name, { boot: 0, poweredOnAt: 0 });
    if (pointer === undefined) return;
    const { image, disks, phase, attempts, fallback } = pointer;
    made.pointers().write({
      ...{ image, disks: [...disks], phase, attempts, fallback, deployment: 'first' },
      ...this.#target(),
    });
  }

  #target(): { imagers: string[]; cluster: string } {
    return { imagers: [this.#config.network.address], cluster: this.#config.cluster };
  }

  /** A node's address: the one reserved for it in the configuration; there are no pools here. */
  #addressOf(name: string): string | undefined {
    return this.#imager.nodes.byName(name)?.address;
  }

  async #attach(
    node: string,
    address: string,
    disk: string,
    lost: () => void,
  ): Promise<SimulatedDisk | string> {
    try {
      await this.#network.connect(node, 'nbd', address, 2000);
    } catch (error) {
      return (error as Error).message;
    }
    const found = this.#imager.attach(node, disk, lost);
    if (typeof found === 'object')
      this.#heard({
        ...{ at: this.now(), component: 'nbd', step: 'attach', node },
        detail: { export: disk },
      });
    return found;
  }

  /** While packets of NBD are lost the kernel's requests to the disk wait. */
  async #untilClear(node: string): Promise<void> {
    while (this.#fate(node, 'nbd').lost)
      await new Promise<void>((resolve) => this.#time.after(CLEAR_MS, resolve));
  }

  #fate(node: string, packet: PacketKind): Fate {
    const traffic = packet.replace(/-.*/, '');
    const faults = (this.#faults.get(node) ?? []).filter(
      (fault) => fault.traffic === 'all' || fault.traffic === traffic,
    );
    return {
      lost: faults.some(({ lost }) => lost),
      delay: faults.reduce((sum, { delay }) => sum + delay, 0),
    };
  }

  #trouble(action: Extract<RigAction, { kind: 'network' }>): void {
    if (action.network === 'heal') {
      this.#faults.delete(action.node);
      return;
    }
    const lost = action.network === 'drop';
    const delay = action.network === 'delay' ? action.delayMs : 0;
    const faults = this.#faults.get(action.node) ?? [];
    this.#faults.set(action.node, [...faults, { traffic: action.traffic, lost, delay }]);
  }

  async #switchImager(wanted: 'start' | 'stop' | 'kill'): Promise<void> {
    if (wanted === 'start') {
      if (this.#imager.running) return;
      await this.#done(this.#imager.start());
      this.#emit({ kind: 'imager', state: 'started' });
    } else if (this.#imager.running) {
      this.#imager.end();
      this.#emit({ kind: 'imager', state: wanted === 'stop' ? 'stopped' : 'killed' });
    }
  }

  async #flash({ node: name, image, disks }: Extract<RigAction, { kind: 'flash' }>): Promise<void> {
    if (this.#imager.image(image) === undefined) throw new Error(`there is no image ${image}`);
    const node = this.node(name);
    const deployment = `flash${++this.#flashes}`;
    const request = { image, disks: [...disks], deployment, ...this.#target() };
    if (node.powered) {
      await this.#done(this.#imager.flash(name, request));
      return;
    }
    const store = node.pointers();
    const fallback = store.read().pointer?.fallback ?? '';
    store.write({ ...request, fallback, phase: 'deploy', attempts: FRESH_ATTEMPTS });
  }

  /** Lets time go on until `work` is done; what happens meanwhile waits for next(). */
  async #done(work: Promise<unknown>): Promise<void> {
    let over = false;
    const end = () => {
      over = true;
    };
    work.then(end, end);
    const until = this.now() + PERFORM_MS;
    await this.#time.run(until, () => over);
    if (!over) throw new Error(`not done within ${PERFORM_MS / 1000} s`);
    await work;
  }

  #say(node: string, text: string): void {
    const meaning = lineMeaning(text);
    if (meaning?.component === 'firmware' && meaning.step === 'start') this.#counts.get(node)!.boot++;
    if (this.#unplugged.has(node)) return;
    this.#emit({ kind: 'line', node, text });
    if (meaning !== undefined) this.#tell(node, meaning);
  }

  /** A step of a node, with what real nodes' steps have beside it (rig/node.ts). */
  #tell(node: string, { component, step, reason, detail }: LineMeaning): void {
    const { boot, poweredOnAt } = this.#counts.get(node)!;
    this.#emit({
      ...{ kind: 'step', node, component, step },
      ...(reason === undefined ? {} : { reason }),
      detail: { boot, seconds: (this.now() - poweredOnAt) / 1000, ...detail },
    });
  }

  /** What the imager tells. What it hears of agents is in its log alone: their consoles have that. */
  #heard({ component, step, node, reason, detail = {} }: BootEvent): void {
    if (component !== 'agent')
      this.#emit({
        ...{ kind: 'step', component, step, detail },
        ...(node === undefined ? {} : { node }),
        ...(reason === undefined ? {} : { reason }),
      });
    const words = Object.entries(detail).map(([key, value]) => ` ${key}=${value}`);
    this.#log.push(`${(this.now() / 1000).toFixed(3)} ${node ?? ''} ${component} ${step}${words.join('')}`);
    if (this.#log.length > LOG_LINES) this.#log.shift();
  }

  #emit(event: Without<RigEvent>): void {
    this.#events.push({ ...event, at: this.now() });
  }
}
