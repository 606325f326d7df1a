/**
 * The node's link to its imagers, in order of preference: looked for as soon as there is a network, kept up for as long as the
 * node is, looked for again whenever it breaks. While another than the first answers, those before it are tried from time to
 * time. Where none answers the node is on its own, and keeps what it has to report (report-file.ts).
 */

import { preferredDelay, replacedDelay, retryDelay } from '../core/backoff.ts';
import { Report } from '../core/report.ts';
import { UntoldOutputs } from '../core/untold.ts';
import type { ImagerLink } from '../ports.ts';
import type { MembershipRequest } from '../protocol/membership.ts';
import type { AgentMessage, Flash, Hello, ImagerMessage, Plan, StepDetail } from '../protocol/messages.ts';
import type { ScriptOutput } from '../protocol/output.ts';
import type { BootPointer } from '../protocol/pointer/record.ts';
import type { ResourcesMessage } from '../protocol/resources.ts';
import { wordsOf } from '../protocol/words-of.ts';
import { Adapters } from './adapters.ts';
import { Conversation, failed, openFirst, RefusedError, ReplacedError, type Tell } from './conversation.ts';
import { Detachment } from './detachment.ts';
import type { Requester } from './flash.ts';
import type { BootIdentity } from './hello.ts';
import { type Host, HostError } from './host.ts';
import { type ImagerAddress, imagerText } from './imager-address.ts';
import { ReportFile } from './report-file.ts';
import type { NodeSecret } from './secret.ts';

/** A connection that is over sooner is no sign that all is well again. */
const STEADY_SECONDS = 5;
/** What the imager has not acknowledged by then is written to the disk. */
const ACKNOWLEDGE_MS = 250;
/** How long the disk may take where the machine is to restart. */
const KEEP_MS = 1000;
/** How long resources wait for the steps before them to be acknowledged. */
const RESOURCES_MS = 1000;
/** Time for the answer to a power request to leave. */
const ANSWER_MS = 50;
/** Time on its own that is worth a step. */
const DETACHED_SECONDS = 10;

/** What the link needs of the node, and what the imager may ask of it: throwing refuses that with the error's message. */
export interface Commands {
  /** What secures the next connection. */
  secret(): NodeSecret;
  /** The name the imager has for this node. */
  named(hostname: string): void;
  flash(request: Flash, by: Requester): Promise<BootPointer>;
  /** Gives what is done once the answer has left. */
  power(action: 'reboot' | 'poweroff'): () => void;
  /** Something about the node's definition; gives the answer. */
  member(request: MembershipRequest): AgentMessage;
}

export class AgentLink implements ImagerLink {
  readonly #host: Host;
  readonly #imagers: readonly ImagerAddress[];
  readonly #hello: () => Hello;
  readonly #commands: Commands;
  readonly #uid: string;
  readonly #report: Report;
  readonly #adapters: Adapters;
  readonly #detachment: Detachment;
  readonly #outputs = new UntoldOutputs();
  #file: ReportFile | undefined;
  #keepingSoon = false;
  #active: Conversation | undefined;
  #renewal: Promise<unknown> | undefined;
  #refusedSince: number | undefined;
  #plan: Plan | null | undefined;
  #complaint = '';
  #resources: (() => Omit<ResourcesMessage, 'type'>) | undefined;
  readonly #planWaiters: ((plan: Plan | null) => void)[] = [];
  readonly #settleWaiters: (() => void)[] = [];

  /** `hello` may throw, where what it tells cannot be read: then no imager is told anything. */
  constructor(
    host: Host,
    imagers: readonly ImagerAddress[],
    { uid, bootId, bootedImage }: BootIdentity,
    hello: () => Hello,
    commands: Commands,
  ) {
    this.#host = host;
    this.#imagers = imagers;
    this.#hello = hello;
    this.#commands = commands;
    this.#adapters = new Adapters(host);
    this.#detachment = new Detachment(host);
    this.#uid = uid;
    this.#report = new Report({ id: bootId, image: bootedImage });
  }

  /** Keeps a connection up for ever. */
  async serve(): Promise<never> {
    let lost = this.#host.uptime();
    for (;;) {
      const since = this.#host.uptime();
      const found = await this.#first(this.#imagers);
      this.#refusedSince = found === 'refused' ? since : undefined;
      let why: Error | undefined;
      if (found instanceof Conversation) {
        const began = this.#host.uptime();
        why = await this.#follow(found);
        if (this.#host.uptime() - began > STEADY_SECONDS) lost = this.#host.uptime();
      } else this.#detachment.begin(this.#planWaiters.length > 0);
      const [away, dice] = [(this.#host.uptime() - lost) * 1000, this.#host.random()];
      const refused = found === 'refused' || why instanceof RefusedError;
      const replaced = why instanceof ReplacedError;
      await this.#host.sleep(replaced ? replacedDelay(dice) : retryDelay(away, refused, dice));
    }
  }

  /** Uptime at which the present connection was begun; undefined where no imager has this node. */
  get connectedSince(): number | undefined {
    return this.#active?.since;
  }

  /** Uptime at which the last attempt was begun, where an imager refused it. Of renew() it is not told here. */
  get refusedSince(): number | undefined {
    return this.#refusedSince;
  }

  /** Connects anew, from the address the node has now. The present connection goes on until an imager welcomes it there. */
  renew(): Promise<'welcomed' | 'refused' | 'unreachable'> {
    const present = this.#active;
    const renewal = this.#first(this.#imagers).then((found) => {
      if (!(found instanceof Conversation)) return found;
      this.#adopt(found);
      present?.close();
      return 'welcomed';
    });
    this.#renewal = renewal;
    return renewal;
  }

  report(step: string, detail: StepDetail): void {
    const message = this.#report.add(step, Math.round(this.#host.uptime() * 1000) / 1000, detail);
    const words = Object.entries(detail).map(([key, value]) => ` ${key}=${value}`);
    this.#host.print(`bootwright: step ${step} ${message.uptime.toFixed(3)}${words.join('')}`);
    this.#active?.send(message);
    void this.#keepSoon();
  }

  output(output: ScriptOutput): void {
    this.#active?.send(this.#outputs.add(output));
  }

  /** From here on what is not acknowledged outlives this process, in `directory`; what was kept there is reported too. */
  keepIn(directory: string): void {
    this.#file = new ReportFile(this.#host, directory, this.#uid, this.#report);
    for (const message of this.#report.pending()) this.#active?.send(message);
    void this.#keepSoon();
  }

  /** Tells the imager what the node consists of, now and at each join to come. */
  describe(discover: () => Omit<ResourcesMessage, 'type'>): void {
    this.#resources = discover;
    if (this.#active !== undefined) void this.#tellResources(this.#active);
  }

  /** Behind the steps: looking for resources takes a slow node a tenth of a second, in which nothing else is sent. */
  async #tellResources(to: Conversation): Promise<void> {
    await this.settle(RESOURCES_MS);
    if (this.#active === to && this.#resources !== undefined)
      to.send({ type: 'resources', ...this.#resources() });
  }

  /** Tells the imager what the pointer says now; one that is away hears it in the next hello. */
  pointed(pointer: BootPointer): void {
    this.#active?.send({ type: 'pointer', pointer });
  }

  plan(): Promise<Plan | null> {
    if (this.#plan !== undefined) return Promise.resolve(this.#plan);
    return new Promise((resolve) => {
      this.#planWaiters.push(resolve);
      this.#detachment.wait();
    });
  }

  async settle(milliseconds: number): Promise<void> {
    if (!this.#report.empty) {
      const settled = new Promise<void>((resolve) => this.#settleWaiters.push(resolve));
      await Promise.race([settled, this.#host.sleep(milliseconds)]);
    }
    if (!this.#report.empty && this.#file !== undefined)
      await Promise.race([this.#file.write(), this.#host.sleep(KEEP_MS)]);
  }

  #first(imagers: readonly ImagerAddress[], tell: Tell = (imager, why) => this.#complain(imager, why)) {
    const identity = { hello: this.#hello, secret: () => this.#commands.secret() };
    return openFirst(this.#host, imagers, identity, (from, message) => this.#take(from, message), tell);
  }

  /** Stays with a conversation, and with those that take its place, to the end of the last; gives why that ended. */
  async #follow(first: Conversation): Promise<Error> {
    this.#adopt(first);
    for (let conversation = first; ; ) {
      const why = await conversation.ended;
      // An imager ends it for one that is made anew, whose welcome may be on its way.
      await this.#renewal;
      const next = this.#active;
      if (next === undefined || next === conversation) {
        this.#active = undefined;
        this.#complain(conversation.imager, why);
        this.#reportTampered(conversation.imager, why);
        void this.#keepSoon();
        return why;
      }
      conversation = next;
    }
  }

  #adopt(conversation: Conversation): void {
    const { hostname, plan } = conversation.welcome;
    this.#active = conversation;
    this.#complaint = '';
    this.#commands.named(hostname);
    this.#plan = plan;
    for (const waiter of this.#planWaiters.splice(0)) waiter(plan);
    for (const message of [...this.#outputs.pending(), ...this.#report.pending()]) conversation.send(message);
    if (this.#resources !== undefined) void this.#tellResources(conversation);
    this.#attached(conversation.imager);
    void this.#preferOthers(conversation);
    void conversation.beat((imager) => this.#adapters.heartbeat(imager));
  }

  /** Looks for the imagers before the present one, for as long as it is that. */
  async #preferOthers(present: Conversation): Promise<void> {
    const better = this.#imagers.slice(0, this.#imagers.indexOf(present.imager));
    while (better.length > 0) {
      await this.#host.sleep(preferredDelay(this.#host.random()));
      if (present.over) return;
      const found = await this.#first(better, () => {});
      if (!(found instanceof Conversation)) continue;
      if (this.#active !== present) {
        found.close();
        return;
      }
      this.#host.print(`bootwright: imager ${imagerText(found.imager)}: answers again`);
      this.#adopt(found);
      present.close();
      return;
    }
  }

  #take(from: Conversation, message: ImagerMessage): void {
    switch (message.type) {
      case 'ack':
        this.#acknowledged(message.seq, message.boot);
        return;
      case 'kept':
        this.#outputs.kept(message.script, message.bootId);
        return;
      case 'flash':
        void this.#answer(from, message.request, async () => {
          const pointer = await this.#commands.flash(message, from);
          from.send({ type: 'done', request: message.request, pointer });
        });
        return;
      case 'power':
        void this.#answer(from, message.request, () => {
          const act = this.#commands.power(message.action);
          from.send({ type: 'done', request: message.request });
          void this.#host.sleep(ANSWER_MS).then(act);
        });
        return;
      case 'identify':
      case 'commit':
      case 'erase':
      case 'correct':
        void this.#answer(from, message.request, () => from.send(this.#commands.member(message)));
        return;
    }
  }

  async #answer(to: Conversation, request: number, work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      to.send(failed(request, error));
    }
  }

  #acknowledged(seq: number, bootId: string | undefined): void {
    if (!this.#report.acknowledged(seq, bootId) || !this.#report.empty) return;
    for (const waiter of this.#settleWaiters.splice(0)) waiter();
    if (this.#file?.holdsSteps) void this.#file.write();
  }

  /** Has the disk keep what no imager takes: at once where there is none, else where it takes its time. */
  async #keepSoon(): Promise<void> {
    if (this.#file === undefined || this.#report.empty || this.#keepingSoon) return;
    if (this.#active !== undefined) {
      this.#keepingSoon = true;
      await this.#host.sleep(ACKNOWLEDGE_MS);
      this.#keepingSoon = false;
    }
    if (!this.#report.empty) void this.#file.write();
  }

  /** Told to the next imager: whoever is in between may have kept the alert of this end from the last. */
  #reportTampered(imager: ImagerAddress, why: Error): void {
    if (why instanceof HostError && why.code === 'EPROTO')
      this.report('tampered', { imager: imagerText(imager), why: why.message });
  }

  /** An imager answers: says for how long none did, where that is worth it. */
  #attached(imager: ImagerAddress): void {
    const seconds = this.#detachment.end();
    const { dropped } = this.#report;
    if (seconds < DETACHED_SECONDS && dropped === 0) return;
    this.#report.droppedTold();
    this.report('detached', { seconds, imager: imagerText(imager), ...(dropped === 0 ? {} : { dropped }) });
  }

  /** Says each reason once, not with every attempt. */
  #complain(imager: ImagerAddress, why: unknown): void {
    const text = `imager ${imagerText(imager)}: ${wordsOf(why)}`;
    if (text === this.#complaint) return;
    this.#complaint = text;
    this.#host.print(`bootwright: ${text}`);
  }
}
