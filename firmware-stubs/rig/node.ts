/** A node of the rig: a QEMU machine with power, a serial line that is read as events, and an EEPROM. */
import { appendFileSync, writeFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { systemClock } from '../../imager/journal/clock.ts';
import type { BootEvent } from '../../imager/journal/event.ts';
import { SerialCable } from './cable.ts';
import { tail, waitFor } from './deadline.ts';
import type { InsideProcess } from './inside.ts';
import { type NetworkFirmware, qemuCommand, type Rig, type StubFirmware } from './qemu.ts';
import { Qmp } from './qmp.ts';
import { ConsoleReader, lineMeaning } from './serial.ts';

export interface NodeOptions {
  /** Name in logs and events. */
  name: string;
  rig: Rig;
  /**
   * Rig `x86`: the BIOS or the UEFI stub, which obey the EEPROM as U-Boot does on rig `arm64`, or firmware that boots what DHCP
   * tells it. Without it iPXE obeys the EEPROM, and counts no attempts.
   */
  firmware?: NetworkFirmware | StubFirmware;
  /** BIOS and UEFI stub: how long it waits for a technician after power-on. Default 1000 with `serial`, else 0. */
  listenMilliseconds?: number;
  /** Ethernet address, `52:54:00:00:00:01`. */
  mac: string;
  /** Hardware UID: a UUID, or `serial:` and a serial number. */
  uid: string;
  /**
   * The EEPROM's file (eeprom.ts makes one): written by the host, obeyed by the firmware, the first disk of the node's Linux. A
   * node whose firmware asks the network can do without. UEFI stub: the file with the machine's UEFI variables.
   */
  eeprom?: string;
  /** Default 512. */
  memoryMiB?: number;
  /** Default 1. */
  processors?: number;
  /** More hardware: arguments of QEMU, behind all others. */
  devices?: readonly string[];
  /** `pty`: the serial line can be opened as a port of this machine too (`RigNode.serialPort`), by `imager serial` say. */
  serial?: 'pty';
}

/** One line of the serial console. */
export interface SerialLine {
  text: string;
  /** Wall clock, milliseconds since the epoch with fractions, comparable with the imager's events. */
  at: number;
  /** Milliseconds since power-on, from the monotonic clock. */
  sincePowerOn: number;
  /** How many times the node's firmware had started by then, this time included. */
  boot: number;
}

export interface WaitOptions {
  withinMs: number;
  /** Only what belongs to this boot (`RigNode.boots` counts them). Default: anything since the last power-on. */
  boot?: number;
}

/** What the lab gives a node. */
export interface NodePlace {
  start(argv: string[]): InsideProcess;
  tap: string;
  flash?: string;
  boot?: string;
  serialLog: string;
  /** End of the imager's log, for errors. */
  imagerLog(): string;
}

export class RigNode {
  readonly name: string;
  readonly rig: Rig;
  #options: NodeOptions;
  readonly #place: NodePlace;
  readonly #listeners = new Set<(line: SerialLine | undefined) => void>();
  readonly #watchers = new Set<(event: BootEvent) => void>();
  readonly #events: BootEvent[] = [];
  #lines: SerialLine[] = [];
  #firstEvent = 0;
  #machine: InsideProcess | undefined;
  #ended: string | undefined = 'the node is switched off';
  #poweredOnAt = 0;
  #boots = 0;
  #reader = new ConsoleReader();
  #cable: SerialCable | undefined;

  constructor(options: NodeOptions, place: NodePlace) {
    this.name = options.name;
    this.rig = options.rig;
    this.#options = options;
    this.#place = place;
    writeFileSync(place.serialLog, '');
  }

  /** How many times the firmware has started, over all power cycles and reboots. */
  get boots(): number {
    return this.#boots;
  }

  get powered(): boolean {
    return this.#machine !== undefined && !this.#machine.over;
  }

  /** Wall clock of the last power-on, milliseconds since the epoch. */
  get poweredOnAt(): number {
    return this.#poweredOnAt;
  }

  /** Starts the machine; resolves at once, the firmware goes on by itself. Rejects where it is on already. */
  async powerOn(): Promise<void> {
    if (this.powered) throw new Error(`node ${this.name} is on already`);
    const { tap, flash, boot } = this.#place;
    const argv = qemuCommand({
      ...this.#options,
      memoryMiB: this.#options.memoryMiB ?? 512,
      tap,
      ...(flash === undefined ? {} : { flash }),
      ...(boot === undefined ? {} : { boot }),
    });
    this.#lines = [];
    this.#firstEvent = this.#events.length;
    this.#ended = undefined;
    this.#poweredOnAt = systemClock.now();
    this.#record({ component: 'rig', step: 'power-on' }, this.#poweredOnAt);
    this.#launch(argv);
  }

  /**
   * Starts QEMU, and again where the guest resets its machine: within one process what QEMU keeps translated of the
   * former boot makes the next one slow (U-Boot's gunzip takes five times as long).
   */
  #launch(argv: string[]): void {
    const machine = this.#place.start(argv);
    const [, , , control] = machine.child.stdio;
    const qmp = new Qmp(control as Duplex, control as Duplex);
    this.#machine = machine;
    const reader = new ConsoleReader();
    this.#reader = reader;
    machine.child.stdout?.on('data', (chunk: Buffer) => {
      const at = systemClock.now();
      this.#cable?.send(chunk);
      for (const text of reader.push(chunk)) this.#take(text, at);
    });
    // Its power may go with keys under way.
    machine.child.stdin?.on('error', () => {});
    let complaint = '';
    machine.child.stderr?.on('data', (chunk) => {
      complaint += chunk;
    });
    void machine.ended.then(({ code, signal }) => {
      if (this.#machine !== machine) return;
      if (qmp.shutdownReason === 'guest-reset' && this.#ended === undefined) {
        this.#launch(argv);
        return;
      }
      this.#machine = undefined;
      this.#ended ??= `QEMU ended (${signal ?? `exit ${code}`}) ${complaint.trim()}`;
      this.#record({ component: 'rig', step: 'off', reason: this.#ended }, systemClock.now());
      this.#tell(undefined);
    });
  }

  /** Changes what is in the machine, from its next power-on. Throws where it is on. */
  refit(hardware: Pick<NodeOptions, 'memoryMiB' | 'processors' | 'devices'>): void {
    if (this.powered) throw new Error(`node ${this.name} is on`);
    this.#options = { ...this.#options, ...hardware };
  }

  /** Takes the power away at once (SIGKILL): what the guest had not handed to its disk is lost. No-op where it is off. */
  async cutPower(): Promise<void> {
    const machine = this.#machine;
    if (machine === undefined) return;
    this.#ended = 'the power was cut';
    await machine.end('SIGKILL');
  }

  /**
   * The port that its serial line can be opened at, `/dev/pts/N`: the same over all power cycles and resets. Throws where no
   * cable is plugged in.
   */
  get serialPort(): string {
    if (this.#cable === undefined) throw new Error(`node ${this.name} has no serial cable`);
    return this.#cable.port;
  }

  /** Plugs a serial cable in, where there is none; the lab does so for a node with `serial: 'pty'`. The port is a new one. */
  async plugCable(): Promise<void> {
    this.#cable ??= await SerialCable.plug((bytes) => this.type(bytes));
  }

  /** Pulls the serial cable: the port is gone for whoever has it open. Events are read all the same. */
  async pullCable(): Promise<void> {
    const cable = this.#cable;
    this.#cable = undefined;
    await cable?.pull();
  }

  /** Types on its serial line, which keeps what nobody has read yet. Nothing where it is off. */
  type(keys: string | Uint8Array): void {
    this.#machine?.child.stdin?.write(keys);
  }

  /** Stops the machine's processor where it stands, as a busy host would; its devices and the world around it go on. */
  pause(): void {
    this.#machine?.pause();
  }

  /** Lets a paused machine go on. */
  resume(): void {
    this.#machine?.resume();
  }

  /** Everything seen of this node so far, in order. `detail.boot` and `detail.seconds` (since power-on) are always there. */
  events(): readonly BootEvent[] {
    return this.#events;
  }

  /** Text of the serial line since the last power-on, the beginning of a line that goes on included. */
  serial(): string {
    return [...this.#lines.map((line) => line.text), this.#reader.partial].join('\n').trimEnd();
  }

  /** Calls back with each new line. Gives the function that ends it. */
  onLine(listener: (line: SerialLine) => void): () => void {
    const own = (line: SerialLine | undefined) => {
      if (line !== undefined) listener(line);
    };
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /** Calls back with each new event, before the line that told of it. Gives the function that ends it. */
  onEvent(watcher: (event: BootEvent) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /**
   * The first line since the last power-on that fits, be it there already or still to come. Rejects with
   * DeadlineError, which carries the logs' ends, after `withinMs` or when the machine ends.
   */
  waitForLine(
    fits: RegExp | ((line: string) => boolean),
    { withinMs, boot }: WaitOptions,
  ): Promise<SerialLine> {
    const test = fits instanceof RegExp ? (text: string) => text.search(fits) !== -1 : fits;
    return this.#wait(`line ${fits instanceof RegExp ? fits : ''}`, withinMs, boot, () =>
      this.#lines.find((line) => (boot === undefined || line.boot === boot) && test(line.text)),
    );
  }

  /**
   * The first event since the last power-on with this step: of the firmware (`start`, `pointer`, `dhcp`, `load`, `boot`,
   * `error`) or of the agent. The same rules as for waitForLine.
   */
  waitForStep(step: string, { withinMs, boot }: WaitOptions): Promise<BootEvent> {
    return this.#wait(`step "${step}"`, withinMs, boot, () =>
      this.#events
        .slice(this.#firstEvent)
        .find((event) => event.step === step && (boot === undefined || event.detail?.boot === boot)),
    );
  }

  #wait<T>(what: string, withinMs: number, boot: number | undefined, look: () => T | undefined): Promise<T> {
    return waitFor({
      what: `node ${this.name}, ${what}${boot === undefined ? '' : ` of boot ${boot}`}`,
      withinMs,
      look,
      onChange: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      hopeless: () => this.#ended,
      logs: () => this.#logs(),
    });
  }

  #logs(): string {
    const seconds = ((systemClock.now() - this.#poweredOnAt) / 1000).toFixed(1);
    return [
      tail(
        `serial line of ${this.name}, ${seconds} s after power-on; all of it: ${this.#place.serialLog}`,
        this.serial(),
      ),
      this.#place.imagerLog(),
    ].join('\n');
  }

  #take(text: string, at: number): void {
    const meaning = lineMeaning(text);
    if (meaning?.component === 'firmware' && meaning.step === 'start') this.#boots++;
    const sincePowerOn = at - this.#poweredOnAt;
    const line: SerialLine = { text, at, sincePowerOn, boot: this.#boots };
    this.#lines.push(line);
    appendFileSync(this.#place.serialLog, `${(sincePowerOn / 1000).toFixed(3)} ${text}\n`);
    if (meaning !== undefined) this.#record(meaning, at);
    this.#tell(line);
  }

  #record(what: Omit<BootEvent, 'at'>, at: number): void {
    const seconds = (at - this.#poweredOnAt) / 1000;
    const event: BootEvent = {
      ...what,
      at,
      node: this.name,
      mac: this.#options.mac,
      detail: { boot: this.#boots, seconds, ...what.detail },
    };
    this.#events.push(event);
    for (const watcher of [...this.#watchers]) watcher(event);
  }

  #tell(line: SerialLine | undefined): void {
    for (const listener of [...this.#listeners]) listener(line);
  }
}
