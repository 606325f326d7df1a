/** A node without hardware: power, a chip with boot pointers, firmware, and the project's own agent on a simulated machine. */
import { DEVICE_SIZE } from '../../../agent/linux/eeprom.ts';
import { bootNode } from '../../../agent/main.ts';
import { ipxeScript } from '../../../agent/protocol/pointer/ipxe-script.ts';
import type { PointerLayout } from '../../../agent/protocol/pointer/layout.ts';
import { PointerStore } from '../../../agent/protocol/pointer/store.ts';
import { ubootEnv } from '../../../agent/protocol/pointer/uboot-env.ts';
import { wordsOf } from '../../../agent/protocol/words-of.ts';
import type { Rig } from '../../rig/qemu.ts';
import { SimulatedChip } from './chip.ts';
import { type Booted, type BootFile, type FirmwareWorld, runFirmware } from './firmware.ts';
import type { DiskSource } from './keeper.ts';
import { Life } from './life.ts';
import { SimulatedMachine } from './machine.ts';
import type { StreamEnd, StreamPacket } from './network.ts';
import type { VirtualTime } from './time.ts';

export const LAYOUT_OF: Readonly<Record<Rig, PointerLayout>> = { arm64: ubootEnv, x86: ipxeScript };

/** Seen on the rig: the kernel until process 1 runs, what the agent takes to begin, a reset, a kernel's `panic=1`. */
const KERNEL_MS = 1170;
const RESET_MS = 290;
const PANIC_MS = 1000;

export interface NodeParts {
  time: VirtualTime;
  random: () => number;
  name: string;
  rig: Rig;
  mac: string;
  uid: string;
  /** Counts of bytes at which a write to the chip is told of, beside its end. */
  stops: readonly number[];
}

/** What a node needs of the lab around it, and tells it. */
export interface NodeWorld {
  dhcp(life: Life): Promise<string | undefined>;
  reachable: FirmwareWorld['reachable'];
  fetch(life: Life, image: string, file: BootFile): Promise<boolean>;
  /** Whether the image's kernel finds its init. */
  boots(image: string): boolean;
  disks: DiskSource;
  connect(packet: StreamPacket, address: string, timeoutMs: number): Promise<StreamEnd>;
  ask(address: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array | undefined>;
  line(text: string): void;
  power(step: 'power-on' | 'off', reason?: string): void;
  wrote(slot: 0 | 1, stored: number, length: number): void;
}

export class SimulatedNode {
  readonly name: string;
  readonly layout: PointerLayout;
  readonly chip: SimulatedChip;
  readonly #parts: NodeParts;
  readonly #world: NodeWorld;
  /** Things it has done to the world so far: lines printed, pieces of a write, steps towards a file on its disk, ... */
  deeds = 0;
  /** The power goes when it has done so many. */
  cutAfter = Number.POSITIVE_INFINITY;
  #life: Life | undefined;
  #machine: SimulatedMachine | undefined;
  #boots = 0;

  constructor(parts: NodeParts, world: NodeWorld) {
    this.name = parts.name;
    this.layout = LAYOUT_OF[parts.rig];
    this.#parts = parts;
    this.#world = world;
    this.chip = new SimulatedChip(DEVICE_SIZE, parts.stops, ({ offset, bytes }, stored) => {
      // Behind the boot pointer is the local store.
      if (offset < this.layout.size) world.wrote(slotAt(this.layout, offset), stored, bytes.length);
    });
  }

  get powered(): boolean {
    return this.#life !== undefined;
  }

  /** The pointers in its chip, for the host to read, and to write while the node is off. */
  pointers(): PointerStore {
    return new PointerStore(this.layout, {
      read: (offset, length) => this.chip.bytes.slice(offset, offset + length),
      write: (offset, bytes) => this.chip.bytes.set(bytes, offset),
    });
  }

  /** Nothing where it is on. */
  powerOn(): void {
    if (this.powered) return;
    this.#world.power('power-on');
    void this.#begin(0);
  }

  /** What was not durable is lost. Nothing where it is off. */
  cutPower(): void {
    if (!this.powered) return;
    this.#end();
    this.#world.power('off', 'the power was cut');
  }

  #newLife(): Life {
    this.#life = new Life(this.#parts.time, () => {
      if (++this.deeds === this.cutAfter) this.cutPower();
    });
    return this.#life;
  }

  #end(): void {
    this.#life?.end();
    this.#life = undefined;
    this.#machine?.lose(() => this.#parts.random() < 0.5);
    this.#machine = undefined;
  }

  #reset(): void {
    this.#end();
    void this.#begin(RESET_MS);
  }

  async #begin(afterMs: number): Promise<void> {
    const firmware = this.#newLife();
    const { layout } = this;
    await firmware.sleep(afterMs);
    const booted = await runFirmware({
      life: firmware,
      layout,
      store: this.chip.opened(firmware),
      print: (line) => firmware.does(() => this.#world.line(line)),
      dhcp: () => firmware.lived(this.#world.dhcp(firmware)),
      reachable: this.#world.reachable,
      fetch: (_imager, image, file) => firmware.lived(this.#world.fetch(firmware, image, file)),
    });
    firmware.does(() => this.#startKernel(booted));
  }

  #startKernel({ image, address }: Booted): void {
    const { name, uid, mac } = this.#parts;
    this.#life?.end();
    const life = this.#newLife();
    if (!this.#world.boots(image)) {
      life.after(KERNEL_MS, () => this.#world.line('Kernel panic - not syncing: No working init found.'));
      life.after(KERNEL_MS + PANIC_MS, () => this.#reset());
      return;
    }
    this.#boots++;
    const machine = new SimulatedMachine(
      {
        life,
        random: this.#parts.random,
        commandLine: `bootwright.image=${image} bootwright.pointer=${this.layout.name}:/dev/vda ip=${address}:::255.255.255.0:${name}:eth0:off`,
        bootId: `${name}-boot-${this.#boots}`,
        store: this.chip.opened(life),
        ...{ uid, mac },
      },
      {
        disks: this.#world.disks,
        connect: this.#world.connect,
        ask: this.#world.ask,
        print: (line) => {
          if (line !== '') this.#world.line(line);
        },
        ended: (action) => {
          if (action === 'reboot') return this.#reset();
          this.#end();
          this.#world.power('off', 'it was told to');
        },
      },
    );
    this.#machine = machine;
    life.after(KERNEL_MS, () => {
      bootNode(machine).catch((error: unknown) =>
        machine.print(`bootwright: the agent ended: ${wordsOf(error)}`),
      );
    });
  }
}

/** The slot that a write at `offset` is of: what it fills, or, of a store that says elsewhere which counts, what it says. */
function slotAt(layout: PointerLayout, offset: number): 0 | 1 {
  return offset < layout.size / 2 ? 0 : 1;
}
