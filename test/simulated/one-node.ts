/** A scenario of one simulated node, run without a script: what happens is collected. */
import type { Script } from '../../agent/protocol/messages.ts';
import type { RigEvent } from '../../firmware-stubs/rig/scenario/event.ts';
import { parseScenario } from '../../firmware-stubs/rig/scenario/load.ts';
import type { Scenario, ScenarioPointer } from '../../firmware-stubs/rig/scenario/scenario.ts';
import type { SimulatedNode } from '../../firmware-stubs/simulated/lab/node.ts';
import { SimulatedRig } from '../../firmware-stubs/simulated/lab/rig.ts';
import { randomFrom } from '../serial/virtual-line.ts';

export const NODE = 'n1';

export interface OneNodeOptions {
  pointer?: Partial<ScenarioPointer>;
  /** Counts of bytes at which a write is told of. */
  stops?: readonly number[];
  rig?: 'arm64' | 'x86';
  secondReboot?: boolean;
  /** Name, stage and content; by default each says on the console that it begins. */
  scripts?: (Pick<Script, 'name' | 'stage' | 'content'> & Partial<Script>)[];
  /** `adapters` of the node in the configuration. */
  adapters?: object[];
  seed?: number;
}

export const SCRIPTS = [
  { name: '10-first', stage: 1 as const, content: 'echo 10-first begins > /dev/console' },
  { name: '20-slow', stage: 1 as const, content: 'echo 20-slow begins > /dev/console; sleep 2' },
  { name: '50-last', stage: 2 as const, content: 'echo 50-last begins > /dev/console' },
];

/** Images `alpha` and `beta` boot, `broken` does not. */
export function scenarioOf(options: OneNodeOptions): Scenario {
  const { pointer = {}, stops = [], rig = 'arm64', secondReboot = true, scripts = SCRIPTS } = options;
  const file = {
    name: 'one-node',
    images: { alpha: {}, beta: {}, broken: { boots: false } },
    nodes: [{ name: NODE, rig, pointer: { image: 'alpha', disks: ['n1-root'], ...pointer } }],
    imager: {
      cluster: 'lab',
      network: { address: '10.77.0.1', prefix: 24 },
      nodes: [
        {
          ...{ name: NODE, mac: '52:54:00:77:00:11', uid: '6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601' },
          ...{ address: '10.77.0.11', userConfig: 'web' },
          ...(options.adapters === undefined ? {} : { adapters: options.adapters }),
        },
      ],
      userConfigs: {
        web: { secondReboot, scripts, services: { init: ['/sbin/init'], ports: [80], timeoutSeconds: 60 } },
      },
    },
    script: [{ on: 'start', do: { node: NODE, power: 'on' } }],
    expect: [{ on: { step: 'ready' } }],
  };
  // JSON is YAML.
  return { ...parseScenario(JSON.stringify(file), '/one-node.yaml'), writeStops: stops };
}

export class OneNode {
  readonly rig: SimulatedRig;
  readonly events: RigEvent[] = [];

  constructor(scenario: Scenario, seed = 1) {
    this.rig = new SimulatedRig(scenario, randomFrom(seed));
  }

  get node(): SimulatedNode {
    return this.rig.node(NODE);
  }

  power(power: 'on' | 'cut'): Promise<void> {
    return this.rig.perform({ kind: 'power', node: NODE, power });
  }

  /** Lets time go on until an event fits, which it gives; undefined where none does within so many seconds. */
  async until(fits: (event: RigEvent) => boolean, seconds = 600): Promise<RigEvent | undefined> {
    const until = this.rig.now() + seconds * 1000;
    for (;;) {
      const event = await this.rig.next(until);
      if (event === undefined) return undefined;
      this.events.push(event);
      if (fits(event)) return event;
    }
  }

  untilStep(step: string, seconds?: number): Promise<RigEvent | undefined> {
    return this.until((event) => event.kind === 'step' && event.step === step, seconds);
  }

  /** What the console has shown. */
  get lines(): string[] {
    return this.events.flatMap((event) => (event.kind === 'line' ? [event.text] : []));
  }

  /** Steps that its console told. */
  get steps(): string[] {
    return this.events.flatMap((event) =>
      event.kind === 'step' && (event.component === 'firmware' || event.component === 'agent')
        ? [event.step]
        : [],
    );
  }
}
