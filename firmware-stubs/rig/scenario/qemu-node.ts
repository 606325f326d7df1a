/** A node of the QEMU rig as scenarios see it: what it shows as events, and what is done to it. */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import type { BootPointer } from '../../../agent/protocol/pointer/record.ts';
import { FRESH_ATTEMPTS } from '../../../agent/protocol/pointer/record.ts';
import type { PointerStore } from '../../../agent/protocol/pointer/store.ts';
import { eepromPointers, makeEeprom, type Owner, storedBytes } from '../eeprom.ts';
import type { Lab } from '../lab.ts';
import type { RigNode } from '../node.ts';
import { isStub } from '../qemu.ts';
import type { RigAction } from './action.ts';
import type { RigEvent } from './event.ts';
import type { ScenarioImager, ScenarioNode } from './scenario.ts';
import { StoreWatch } from './store-watch.ts';

export interface QemuNodePlace {
  lab: Lab;
  imager: ScenarioImager;
  /** File of its EEPROM, made anew. */
  eeprom: string;
  /** Milliseconds since the scenario began; `at` of the rig's events becomes one with `since`. */
  now(): number;
  since(at: number): number;
  tell(event: RigEvent): void;
}

export class QemuNode {
  readonly name: string;
  readonly #node: RigNode;
  readonly #place: QemuNodePlace;
  readonly #pointers: PointerStore | undefined;
  readonly #watch: StoreWatch | undefined;
  /** Steps that the line which is coming has told. */
  #steps: RigEvent[] = [];
  #cablePulled = false;

  private constructor(node: RigNode, place: QemuNodePlace, owner?: Owner) {
    this.name = node.name;
    this.#node = node;
    this.#place = place;
    if (owner !== undefined) {
      const pointers = eepromPointers(place.eeprom, owner);
      const read = () => storedBytes(place.eeprom, owner);
      this.#pointers = pointers;
      this.#watch = new StoreWatch(place.eeprom, read, pointers.layout, (write) =>
        place.tell({
          ...{ at: place.now(), node: node.name, kind: 'write' },
          ...{ slot: write.slot, stored: write.length, length: write.length },
        }),
      );
    }
    node.onEvent(({ component, step, at, reason, detail = {} }) => {
      const event: RigEvent = {
        ...{ at: place.since(at), node: node.name, kind: 'step', component, step, detail },
        ...(reason === undefined ? {} : { reason }),
      };
      if (component === 'rig') place.tell(event);
      else this.#steps.push(event);
    });
    node.onLine(({ text, at }) => {
      const steps = this.#steps;
      this.#steps = [];
      if (this.#cablePulled) return;
      place.tell({ at: place.since(at), node: node.name, kind: 'line', text });
      for (const step of steps) place.tell(step);
    });
  }

  /** A node that is off, its EEPROM flashed. */
  static async add(what: ScenarioNode, place: QemuNodePlace): Promise<QemuNode> {
    const { name, rig, mac, uid, firmware, pointer } = what;
    const { lab, eeprom, imager } = place;
    if (firmware !== undefined && !isStub(firmware))
      return new QemuNode(await lab.node({ name, rig, firmware, mac, uid }), place);
    const owner = firmware ?? rig;
    makeEeprom(eeprom, owner);
    if (pointer !== undefined)
      eepromPointers(eeprom, owner).write({
        ...targetOf(imager),
        ...pointer,
        disks: [...pointer.disks],
        deployment: deployment(),
      });
    const stub = firmware === undefined ? {} : { firmware };
    return new QemuNode(await lab.node({ name, rig, mac, uid, eeprom, ...stub }), place, owner);
  }

  get pointer(): BootPointer | undefined {
    return this.#pointers?.read().pointer;
  }

  async power(power: 'on' | 'cut'): Promise<void> {
    if (power === 'cut') await this.#node.cutPower();
    else if (!this.#node.powered) await this.#node.powerOn();
  }

  cable(cable: 'pull' | 'plug'): void {
    this.#cablePulled = cable === 'pull';
  }

  /** Off: the host writes the pointer. On: the node does, as the imager tells it. Rejects where it was not written. */
  async flash({ image, disks }: Extract<RigAction, { kind: 'flash' }>): Promise<void> {
    if (this.#pointers === undefined) throw new Error(`node ${this.name} has no boot pointer`);
    if (!this.#node.powered) {
      const fallback = this.pointer?.fallback ?? '';
      const state = { phase: 'deploy' as const, attempts: FRESH_ATTEMPTS, fallback };
      this.#pointers.write({
        ...targetOf(this.#place.imager),
        ...{ image, disks: [...disks], deployment: deployment(), ...state },
      });
      this.#watch?.forget();
      return;
    }
    const args = disks.flatMap((disk) => ['--disk', disk]);
    const flashed = await this.#place.lab.imagerCommand([
      'node',
      'flash',
      this.name,
      '--image',
      image,
      ...args,
    ]);
    if (flashed.code !== 0) throw new Error(`flash of ${this.name}: ${flashed.stderr.trim()}`);
  }

  /** Rejects while it is on: what it writes itself would be lost. */
  write(offset: number, bytes: Uint8Array): void {
    if (this.#node.powered) throw new Error(`the store of ${this.name} is written while the node is on`);
    const fd = openSync(this.#place.eeprom, 'r+');
    try {
      writeSync(fd, bytes, 0, bytes.length, offset);
    } finally {
      closeSync(fd);
    }
    this.#watch?.forget();
  }

  close(): void {
    this.#watch?.close();
  }
}

function targetOf({ config }: ScenarioImager): Pick<BootPointer, 'imagers' | 'cluster'> {
  return { imagers: [config.network.address], cluster: config.cluster };
}

/** Unlike any before it. */
function deployment(): string {
  return randomBytes(8).toString('hex');
}
