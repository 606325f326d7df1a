/**
 * What a node has to tell its imager: steps, what scripts left, what it consists of. It goes out over the conversation there is, again
 * over the next one until it is acknowledged, and to the node's disk (report-file.ts) where no imager takes it.
 */
import { Report } from '../core/report.ts';
import { UntoldOutputs } from '../core/untold.ts';
import type { AgentMessage, StepDetail } from '../protocol/messages.ts';
import type { ScriptOutput } from '../protocol/output.ts';
import type { ResourcesMessage } from '../protocol/resources.ts';
import type { BootIdentity } from './hello.ts';
import type { Host } from './host.ts';
import { ReportFile } from './report-file.ts';

/** What the imager has not acknowledged by then is written to the disk. */
const ACKNOWLEDGE_MS = 250;
/** How long the disk may take where the machine is to restart. */
const KEEP_MS = 1000;
/** How long resources wait for the steps before them to be acknowledged. */
const RESOURCES_MS = 1000;

/** Where it goes: a conversation with an imager that has welcomed this node. */
export interface Outlet {
  send(message: AgentMessage): void;
}

export class Outbox {
  readonly #host: Host;
  readonly #uid: string;
  readonly #report: Report;
  readonly #outputs = new UntoldOutputs();
  readonly #settleWaiters: (() => void)[] = [];
  #file: ReportFile | undefined;
  #keepingSoon = false;
  #resources: (() => Omit<ResourcesMessage, 'type'>) | undefined;
  #outlet: Outlet | undefined;

  constructor(host: Host, { uid, bootId, bootedImage }: BootIdentity) {
    this.#host = host;
    this.#uid = uid;
    this.#report = new Report({ id: bootId, image: bootedImage }, host.uptime());
  }

  /** Sends everything that is not acknowledged, and from now on what comes; in the place of the outlet there was. */
  attach(outlet: Outlet): void {
    this.#outlet = outlet;
    for (const message of [...this.#outputs.pending(), ...this.#report.pending()]) outlet.send(message);
    if (this.#resources !== undefined) void this.#tellResources(outlet);
  }

  /** No imager has this node any more. */
  detach(): void {
    this.#outlet = undefined;
    void this.#keepSoon();
  }

  report(step: string, detail: StepDetail): void {
    const message = this.#report.add(step, Math.round(this.#host.uptime() * 1000) / 1000, detail);
    const words = Object.entries(detail).map(([key, value]) => ` ${key}=${value}`);
    this.#host.print(`bootwright: step ${step} ${message.uptime.toFixed(3)}${words.join('')}`);
    this.#outlet?.send(message);
    void this.#keepSoon();
  }

  output(output: ScriptOutput): void {
    // Kept whether or not anybody has this node now.
    const message = this.#outputs.add(output);
    this.#outlet?.send(message);
  }

  /** From here on what is not acknowledged outlives this process, in `directory`; what was kept there is reported too. */
  keepIn(directory: string): void {
    this.#file = new ReportFile(this.#host, directory, this.#uid, this.#report);
    for (const message of this.#report.pending()) this.#outlet?.send(message);
    void this.#keepSoon();
  }

  /** Tells the imager what the node consists of, now and at each join to come. */
  describe(discover: () => Omit<ResourcesMessage, 'type'>): void {
    this.#resources = discover;
    if (this.#outlet !== undefined) void this.#tellResources(this.#outlet);
  }

  /** Resolves once every step is acknowledged, or after `milliseconds`: then as soon as the disk has them, where it does in time. */
  async settle(milliseconds: number): Promise<void> {
    if (!this.#report.empty) {
      const settled = new Promise<void>((resolve) => this.#settleWaiters.push(resolve));
      await Promise.race([settled, this.#host.sleep(milliseconds)]);
    }
    if (!this.#report.empty && this.#file !== undefined)
      await Promise.race([this.#file.write(), this.#host.sleep(KEEP_MS)]);
  }

  /** The imager has step `seq`, of this boot where `bootId` names no other. */
  acknowledged(seq: number, bootId: string | undefined): void {
    if (!this.#report.acknowledged(seq, bootId) || !this.#report.empty) return;
    for (const waiter of this.#settleWaiters.splice(0)) waiter();
    if (this.#file?.holdsSteps) void this.#file.write();
  }

  /** The imager has what the script left in that boot. */
  outputKept(script: string, bootId: string): void {
    this.#outputs.kept(script, bootId);
  }

  /** How many steps had to go before an imager had them; that is said with this. */
  takeDropped(): number {
    const { dropped } = this.#report;
    this.#report.droppedTold();
    return dropped;
  }

  /** Behind the steps: looking for resources takes a slow node a tenth of a second, in which nothing else is sent. */
  async #tellResources(outlet: Outlet): Promise<void> {
    await this.settle(RESOURCES_MS);
    if (this.#outlet === outlet && this.#resources !== undefined)
      outlet.send({ type: 'resources', ...this.#resources() });
  }

  /** Has the disk keep what no imager takes: at once where there is none, else where it takes its time. */
  async #keepSoon(): Promise<void> {
    if (this.#file === undefined || this.#report.empty || this.#keepingSoon) return;
    if (this.#outlet !== undefined) {
      this.#keepingSoon = true;
      await this.#host.sleep(ACKNOWLEDGE_MS);
      this.#keepingSoon = false;
    }
    if (!this.#report.empty) void this.#file.write();
  }
}
